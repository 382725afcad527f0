"""The training loop: gradient, clipping, optimiser, one step at a time, for any model.

The one idea: it is an iterator over steps, so that whoever drives it looks at the network between two of them
and stops when he has seen enough.  A batch is a function of its step's number, so that a training which goes
on from a checkpoint sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping

Array = NDArray[Any]


class LossOf(Protocol):
    """A loss and its gradients, name -> array."""

    @property
    def value(self) -> float: ...
    @property
    def gradients(self) -> Mapping[str, Array]: ...


class Model(Protocol):
    """What can be trained: named weights, a loss with gradients, and new weights taken."""

    weights: dict[str, Array]

    def loss_and_gradients(self, batch: Any) -> LossOf: ...
    def update(self, weights: Mapping[str, Array]) -> None: ...


class Stepping(Protocol):
    """An optimiser that changes the model's weights in place, and can go back to what it remembered."""

    def step(self, gradients: Mapping[str, Array]) -> None: ...
    def state(self) -> dict[str, Array]: ...
    def load_state(self, state: Mapping[str, Array]) -> None: ...


class TrainingDiverged(FloatingPointError):
    """The loss, a gradient or a weight became inf or NaN.

    Args:
        step: the first at which it did, from 1; where the update of the last step did it, one more than that.
        what: of these, what.
        last_good: after how many steps the weights stood that the model is left with: the last with which
            loss and gradients were finite; None where there were none, and the model is as it came.
        non_finite: how many entries of that step's gradients are NaN or inf.
    """

    def __init__(self, step: int, what: str, last_good: int | None = None, non_finite: int = 0) -> None:
        super().__init__(
            f"training diverged: {what} is not finite at step {step}; clip, or learn more slowly"
        )
        self.step, self.last_good, self.non_finite = step, last_good, non_finite


@dataclass(frozen=True)
class Step:
    """One step: its number from 1, the loss before the update, the gradient's 2-norm before and after
    clipping of the parameters' gradients."""

    number: int
    loss: float
    gradient_norm: float
    clipped_norm: float


@dataclass(frozen=True)
class Kept:
    """A state of a training: after how many steps, the weights, what the optimiser remembers."""

    step: int
    weights: dict[str, Array]
    state: dict[str, Array]


class LastGood:
    """The last state with which loss and gradients were finite: the one before the last update."""

    def __init__(self, model: Model, optimizer: Stepping) -> None:
        self._model, self._optimizer = model, optimizer
        self._spare = {name: np.empty_like(array) for name, array in model.weights.items()}
        self.kept: Kept | None = None

    @property
    def step(self) -> int | None:
        """After how many steps it stood; None where nothing was kept."""
        return None if self.kept is None else self.kept.step

    def keep(self, step: int) -> None:
        """Take a copy of what stands after `step` steps.

        The one before stays whole until the new one is: Ctrl-C may come at any moment.
        """
        weights = self._spare
        for name, array in self._model.weights.items():
            np.copyto(weights[name], array)
        before, self.kept = self.kept, Kept(step, weights, self._optimizer.state())
        self._spare = {n: np.empty_like(a) for n, a in weights.items()} if before is None else before.weights

    def restore(self) -> int | None:
        """Put it back, and say of which step it is; where nothing was kept, nothing was changed either."""
        if self.kept is not None:
            for name, array in self._model.weights.items():
                np.copyto(array, self.kept.weights[name])
            self._model.update(self._model.weights)
            self._optimizer.load_state(self.kept.state)
        return self.step


def train(
    model: Model,
    batch_at: Callable[[int], Any],
    optimizer: Stepping,
    steps: int,
    *,
    done: int = 0,
    clipping: Clipping | None = None,
    good: LastGood | None = None,
) -> Generator[Step]:
    """Steps done + 1 … steps; each is done when it is yielded.

    Whether a state is good shows with the batch that comes after it.  So the batch of step `steps` + 1 is
    looked at too, once the last step was yielded: a training ends with a good state, or it diverged.

    Args:
        batch_at: the batch of a step, by its number.
        optimizer: over `model.weights`.
        clipping: at place "parameters"; at another place the model's layer clips on its way back
            (:mod:`harness.training.through_time`).
        good: of this model and optimiser: who gives it finds the last good state there at any time.

    Raises:
        TrainingDiverged: a loss, a gradient or a weight that is not finite; model and optimiser are then back
            in the last good state.
        ValueError: clipping at another place.
    """
    rule = clipping or Clipping("none")
    if rule.place != "parameters":
        raise ValueError(f"the loop clips at place 'parameters', got {rule.place!r}: bind the layer with it")
    good = good or LastGood(model, optimizer)
    for number in range(done + 1, steps + 1):
        found = _looked_at(model, batch_at(number))
        clipped = rule.apply(found.gradients, model.weights)
        if (what := _not_finite(found.value, clipped.non_finite)) is not None:
            raise TrainingDiverged(number, what, good.restore(), clipped.non_finite)
        good.keep(number - 1)
        optimizer.step(clipped.gradients)
        model.update(model.weights)
        if not all(np.isfinite(array).all() for array in model.weights.values()):
            raise TrainingDiverged(number, "a weight", good.restore())
        yield Step(number, found.value, clipped.norm_before, clipped.norm_after)
    if good.step is not None:
        after = _looked_at(model, batch_at(steps + 1))
        entries = sum(int(np.count_nonzero(~np.isfinite(array))) for array in after.gradients.values())
        if (what := _not_finite(after.value, entries)) is not None:
            raise TrainingDiverged(steps + 1, what, good.restore(), entries)
        good.keep(steps)


def _looked_at(model: Model, batch: Any) -> LossOf:
    with np.errstate(over="ignore", invalid="ignore"):  # looked at by whoever asked, and named
        return model.loss_and_gradients(batch)


def _not_finite(loss: float, entries: int) -> str | None:
    """What of the two is not; None where both are finite."""
    if not math.isfinite(loss):
        return "the loss"
    return "a gradient" if entries else None
