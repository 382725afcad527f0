"""The training loop: gradient, clipping, optimiser, one step at a time, for any model.

The one idea: it is an iterator over steps, so that whoever drives it looks at the network between two of them
and stops when he has seen enough.  A batch is a function of its step's number, so that a training which goes
on from a checkpoint sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
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
    """An optimiser that changes the model's weights in place."""

    def step(self, gradients: Mapping[str, Array]) -> None: ...


class TrainingDiverged(FloatingPointError):
    """The loss or a gradient became inf or NaN.

    Args:
        step: the first at which it did, from 1.
    """

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"training diverged: the {what} is not finite at step {step}; clip, or learn more slowly"
        )
        self.step = step


@dataclass(frozen=True)
class Step:
    """One step: its number from 1, the loss before the update, the gradient's 2-norm before and after
    clipping of the parameters' gradients."""

    number: int
    loss: float
    gradient_norm: float
    clipped_norm: float


def train(
    model: Model,
    batch_at: Callable[[int], Any],
    optimizer: Stepping,
    steps: int,
    *,
    done: int = 0,
    clipping: Clipping | None = None,
) -> Iterator[Step]:
    """Steps done + 1 … steps; each is done when it is yielded.

    Args:
        batch_at: the batch of a step, by its number.
        optimizer: over `model.weights`.
        clipping: at place "parameters"; at another place the model's layer clips on its way back
            (:mod:`harness.training.through_time`).

    Raises:
        TrainingDiverged: a loss or a gradient that is not finite; the weights stay as they were before it.
        ValueError: clipping at another place.
    """
    rule = clipping or Clipping("none")
    if rule.place != "parameters":
        raise ValueError(f"the loop clips at place 'parameters', got {rule.place!r}: bind the layer with it")
    for number in range(done + 1, steps + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # looked at here, and named
            found = model.loss_and_gradients(batch_at(number))
        if not math.isfinite(found.value):
            raise TrainingDiverged(number, "loss")
        clipped = rule.apply(found.gradients, model.weights)
        if clipped.non_finite:
            raise TrainingDiverged(number, "gradient")
        optimizer.step(clipped.gradients)
        model.update(model.weights)
        yield Step(number, found.value, clipped.norm_before, clipped.norm_after)
