"""How well a model does a task, on sequences that no step learned from."""

from __future__ import annotations

import numpy as np

from harness.training.model import Batch, SequenceModel
from harness.training.tasks.task import Score, Task

_LEARNED, _HELD_OUT = 7, 8
"""Names of the random streams: no step's sequences are those of a score."""


def batch_of(task: Task, step: int, seq_len: int, batch_size: int, *, seed: int = 0) -> Batch:
    """The batch of one training step, by its number."""
    return task.batch(np.random.default_rng([seed, _LEARNED, step]), seq_len, batch_size)


def score(
    model: SequenceModel,
    task: Task,
    seq_len: int,
    *,
    sequences: int = 1000,
    batch_size: int = 250,
    seed: int = 0,
) -> Score:
    """Mean loss and share of wrong answers over `sequences` held-out ones, equal for equal arguments."""
    losses, wrong = [], []
    sizes = [min(batch_size, sequences - start) for start in range(0, sequences, batch_size)]
    for place, size in enumerate(sizes):
        batch = task.batch(np.random.default_rng([seed, _HELD_OUT, place]), seq_len, size)
        with np.errstate(over="ignore", invalid="ignore"):  # a network may have gone off
            predictions = model.predictions(batch.inputs, len(batch.targets))
            losses.append(task.objective(predictions, batch.targets)[0])
        wrong.append(float(np.mean(task.wrong(predictions, batch.targets))))
    return Score(float(np.average(losses, weights=sizes)), float(np.average(wrong, weights=sizes)))
