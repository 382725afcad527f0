"""A training that outlives its process: it writes checkpoints as it goes, and goes on from the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.clipping import Clipping
from harness.errors import UserError
from harness.training.checkpoint import Checkpoint
from harness.training.loop import Step, TrainingDiverged, train
from harness.training.model import Batch, SequenceModel
from harness.training.optimizers import Optimizer


def fit(
    model: SequenceModel,
    batch_at: Callable[[int], Batch],
    optimizer: Optimizer,
    steps: int,
    *,
    checkpoint: Path,
    every: int = 100,
    settings: Mapping[str, Any] | None = None,
    clipping: Clipping | None = None,
) -> Iterator[Step]:
    """As :func:`harness.training.loop.train`, from where `checkpoint` stands if it is there.

    A state is written once the step after it has shown that its loss and gradients are finite; a training
    that diverges leaves the last good state in the file, and in the model.

    Args:
        checkpoint: a file, written with the state after every `every` steps and after the last.
        settings: JSON values that decide what is trained; a file with others is refused.

    Raises:
        UserError: the file is no checkpoint, or of another training.
        ValueError: `every` below 1; what `train` raises.
        TrainingDiverged: as of `train`.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    settings = dict(settings or {})
    done = _resume(model, optimizer, checkpoint, settings) if checkpoint.exists() else 0

    def now(step: int) -> Checkpoint:
        weights = {name: array.copy() for name, array in model.weights.items()}
        return Checkpoint(step, weights, optimizer.state(), settings)

    awaiting: Checkpoint | None = None
    try:
        for step in train(model, batch_at, optimizer, steps, done=done, clipping=clipping):
            if awaiting is not None:
                awaiting.save(checkpoint)
                awaiting = None
            if step.number % every == 0 or step.number == steps:
                awaiting = now(step.number)
            yield step
        if awaiting is not None:
            awaiting.save(checkpoint)
    except TrainingDiverged as error:
        if error.last_good is not None:
            now(error.last_good).save(checkpoint)
        raise


def _resume(model: SequenceModel, optimizer: Optimizer, path: Path, settings: Mapping[str, Any]) -> int:
    found = Checkpoint.load(path)
    shapes = {name: array.shape for name, array in model.weights.items()}
    theirs = {name: array.shape for name, array in found.weights.items()}
    for what, ours, other in (
        ("settings", dict(settings), dict(found.settings)),
        ("weights", shapes, theirs),
    ):
        if ours != other:
            different = sorted({*ours, *other} - {name for name in ours if ours[name] == other.get(name)})
            raise UserError(
                f"{path}: the checkpoint is of another training",
                expected=f"the same {what}",
                got=f"a difference in {', '.join(map(str, different))}",
                remedy="name another file, or take this one away to begin anew",
            )
    for name, array in model.weights.items():
        array[...] = found.weights[name]
    model.update(model.weights)
    optimizer.load_state(found.optimizer)
    return found.step
