"""The training loop: gradient, clipping, optimiser, one step at a time, for any model.

The one idea: it is an iterator over steps, so that whoever drives it looks at the network between two of them
and stops when he has seen enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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

    def loss_and_gradients(self, batch: Array) -> LossOf: ...
    def update(self, weights: Mapping[str, Array]) -> None: ...


class Optimizer(Protocol):
    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]: ...


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
    """One step: its number from 1, the loss before the update, the gradient's 2-norm before clipping."""

    number: int
    loss: float
    gradient_norm: float


def train(
    model: Model, batches: Iterable[Array], optimizer: Optimizer, clipping: Clipping | None = None
) -> Iterator[Step]:
    """One step per batch; each is done when it is yielded.

    Raises:
        TrainingDiverged: a loss or a gradient that is not finite; the weights stay as they were before it.
    """
    rule = clipping or Clipping("none")
    for number, batch in enumerate(batches, start=1):
        found = model.loss_and_gradients(batch)
        if not math.isfinite(found.value):
            raise TrainingDiverged(number, "loss")
        clipped = rule.apply(found.gradients, model.weights)
        if clipped.non_finite:
            raise TrainingDiverged(number, "gradient")
        model.update(optimizer.step(model.weights, clipped.gradients))
        yield Step(number, found.value, clipped.norm_before)
