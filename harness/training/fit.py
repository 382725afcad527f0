"""A training that outlives its process: it writes checkpoints as it goes, and goes on from the last one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.clipping import Clipping
from harness.errors import UserError
from harness.training.checkpoint import Checkpoint, cannot_be_written
from harness.training.loop import LastGood, Step, TrainingDiverged, train
from harness.training.model import Batch, SequenceModel
from harness.training.optimizers import Optimizer, why_other


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
    before_saving: Callable[[], None] | None = None,
) -> Generator[Step]:
    """As :func:`harness.training.loop.train`, from where `checkpoint` stands if it is there.

    A state is written once the step after it has shown that its loss and gradients are finite; a training
    that diverges leaves the last good state in the file, and in the model.  One that is interrupted
    (KeyboardInterrupt, within a step or thrown into the iterator between two) leaves the last good state in
    the file, too.

    Args:
        checkpoint: a file, written with the state after every `every` steps and after the last.
        settings: JSON values that decide what is trained; a file with others is refused.
        before_saving: called before each writing of the file: what belongs to its steps may go to disk first.

    Raises:
        UserError: the file is no checkpoint, or of another training, or cannot be written; all but a disk
            that fills up is said before the first step.
        ValueError: `every` below 1; what `train` raises.
        TrainingDiverged: as of `train`.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    settings = dict(settings or {})
    done = _resume(model, optimizer, checkpoint, settings) if _is_there(checkpoint) else 0
    Checkpoint(done, model.weights, optimizer.blank_state(), settings).rehearse(checkpoint)
    good = LastGood(model, optimizer)
    writing = _Writing(checkpoint, settings, done, before_saving or (lambda: None))
    going = train(model, batch_at, optimizer, steps, done=done, clipping=clipping, good=good)
    return _written(going, good, writing, lambda number: number % every == 0 or number == steps)


class _Writing:
    """The file: which step it holds, and states that come into it."""

    def __init__(
        self, path: Path, settings: Mapping[str, Any], held: int, before: Callable[[], None]
    ) -> None:
        self._path, self._settings, self._held, self._before = path, settings, held, before

    def save(self, good: LastGood) -> None:
        """The last good state, unless it is in the file already."""
        kept = good.kept
        if kept is None or (kept.step == self._held and self._path.exists()):
            return
        self._before()
        Checkpoint(kept.step, kept.weights, kept.state, self._settings).save(self._path)
        self._held = kept.step


def _written(
    going: Iterator[Step], good: LastGood, writing: _Writing, due: Callable[[int], bool]
) -> Generator[Step]:
    waiting = False
    try:
        for step in going:
            if waiting:
                writing.save(good)  # the state before this step, which has shown that it is good
            waiting = due(step.number)
            yield step
        if waiting:
            writing.save(good)
    except (TrainingDiverged, KeyboardInterrupt):
        writing.save(good)
        raise


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that cannot be looked into
        raise cannot_be_written(path, error) from error


def _resume(model: SequenceModel, optimizer: Optimizer, path: Path, settings: Mapping[str, Any]) -> int:
    found = Checkpoint.load(path)
    theirs = dict(found.settings)
    if settings != theirs:
        names = sorted({*settings, *theirs})
        missing = object()
        different = [name for name in names if settings.get(name, missing) != theirs.get(name, missing)]
        raise _of_another(path, "settings", f"a difference in {', '.join(different)}")
    _check_weights(model, found, path)
    wanted = optimizer.blank_state() if found.step else {}
    if (why := why_other(found.optimizer, wanted)) is not None:
        raise _of_another(path, "optimizer's state", f"one in which {why}")
    take_weights(model, found, path)
    optimizer.load_state(found.optimizer)
    return found.step


def take_weights(model: SequenceModel, found: Checkpoint, path: Path) -> None:
    """Give a model the weights of a checkpoint, in place.

    Raises:
        UserError: they are of other names, types or shapes.
    """
    _check_weights(model, found, path)
    for name, array in model.weights.items():
        array[...] = found.weights[name]
    model.update(model.weights)


def _check_weights(model: SequenceModel, found: Checkpoint, path: Path) -> None:
    if (why := why_other(found.weights, model.weights)) is not None:
        raise _of_another(path, "weights", f"weights in which {why}")


def _of_another(path: Path, what: str, got: str) -> UserError:
    return UserError(
        f"{path}: the checkpoint is of another training",
        expected=f"the same {what}",
        got=got,
        remedy="name another file, or take this one away to begin anew",
    )
