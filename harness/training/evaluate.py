"""How well a model does a task, on sequences that no step learned from."""

from __future__ import annotations

import numpy as np

from harness.training.model import Batch, SequenceModel
from harness.training.tasks.task import Score, Task

HELD_OUT_BATCH = 250
"""Held-out sequences that are looked at at once."""
_LEARNED = 7
"""Name of the random stream of the steps: none's sequences are those of a score."""


def batch_of(task: Task, step: int, seq_len: int, batch_size: int, *, seed: int = 0) -> Batch:
    """The batch of one training step, by its number."""
    return task.batch(np.random.default_rng([seed, _LEARNED, step]), seq_len, batch_size)


def score(
    model: SequenceModel,
    task: Task,
    seq_len: int,
    *,
    sequences: int = 1000,
    batch_size: int = HELD_OUT_BATCH,
    seed: int = 0,
) -> Score:
    """Mean loss and share of wrong answers over `sequences` held-out ones, equal for equal arguments."""
    losses, wrong, sizes = [], [], []
    for batch in task.held_out(seq_len, sequences=sequences, batch_size=batch_size, seed=seed):
        with np.errstate(over="ignore", invalid="ignore"):  # a network may have gone off
            predictions = model.predictions(batch.inputs, len(batch.targets))
            losses.append(task.objective(predictions, batch.targets)[0])
        wrong.append(float(np.mean(task.wrong(predictions, batch.targets))))
        sizes.append(batch.inputs.shape[1])
    return Score(float(np.average(losses, weights=sizes)), float(np.average(wrong, weights=sizes)))
