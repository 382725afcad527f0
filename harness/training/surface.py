"""The error surface of a recurrent network: flat plains, steep cliffs, and what descent does there.

One unit, h ← w·σ(h) + b over T steps with L = (σ(h_T) − y)², is enough for a cliff: where the map has two
stable points, a small change of w or b sends h_T from one to the other.

Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", figure 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping
from harness.training.model import Batch, SequenceModel

Array = NDArray[Any]


@dataclass(frozen=True)
class OneUnit:
    """Args:
    steps: T.
    initial: h_0.
    target: y.
    """

    steps: int = 50
    initial: float = 0.5
    target: float = 0.7

    def loss(self, weight: Array | float, bias: Array | float) -> tuple[Array, Array, Array]:
        """L, ∂L/∂w and ∂L/∂b, each in the shape of w and b together, by forward differentiation."""
        from scipy.special import expit  # a quarter of a second to import

        weight, bias = np.broadcast_arrays(np.float64(weight), np.float64(bias))
        h = np.full(weight.shape, self.initial)
        by_weight, by_bias = np.zeros(weight.shape), np.zeros(weight.shape)
        for _ in range(self.steps):
            s = expit(h)
            slope = weight * s * (1.0 - s)
            by_weight, by_bias = s + slope * by_weight, 1.0 + slope * by_bias
            h = weight * s + bias
        output = expit(h)
        through = 2.0 * (output - self.target) * output * (1.0 - output)
        return (output - self.target) ** 2, through * by_weight, through * by_bias


@dataclass(frozen=True)
class Path:
    """A descent: where it stood before each step and after the last, (N + 1,) each; the norm of the gradient
    there."""

    weight: Array
    bias: Array
    loss: Array
    gradient_norm: Array


def descend(
    unit: OneUnit,
    weight: float,
    bias: float,
    learning_rate: float,
    steps: int,
    clipping: Clipping | None = None,
) -> Path:
    """Gradient descent on the surface of one unit, the gradient clipped where asked."""
    rule = clipping or Clipping("none")
    place = {"weight": np.array(weight, np.float64), "bias": np.array(bias, np.float64)}
    rows = []
    for _ in range(steps + 1):
        loss, by_weight, by_bias = unit.loss(place["weight"], place["bias"])
        rows.append((float(place["weight"]), float(place["bias"]), loss, np.hypot(by_weight, by_bias)))
        clipped = rule.apply({"weight": by_weight, "bias": by_bias}, place).gradients
        place = {name: value - learning_rate * clipped[name] for name, value in place.items()}
    columns = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return Path(*columns)


def slice_of(model: SequenceModel, batch: Batch, reach: Array, *, seed: int = 0) -> Array:
    """Losses (N, N) over a plane through the model's weights: `reach` times one direction, by rows, and the
    other, by columns.

    The first direction is the gradient's, the second is random; both have, in each weight, the norm that the
    weight itself has, so that a reach of 1 is as far as the weights are from zero (Li et al. 2018,
    "Visualizing the loss landscape of neural nets").  The model is left as it was.
    """
    rng = np.random.default_rng([seed, 11])
    start = {name: array.copy() for name, array in model.weights.items()}
    gradient = model.loss_and_gradients(batch).gradients
    noise = {name: rng.standard_normal(array.shape) for name, array in start.items()}
    first, second = _as_long(gradient, start), _as_long(noise, start)
    losses = np.empty((len(reach), len(reach)))
    with np.errstate(over="ignore", invalid="ignore"):
        for i, along in enumerate(reach):
            for j, across in enumerate(reach):
                moved = {n: a + along * first[n] + across * second[n] for n, a in start.items()}
                model.update(moved)
                losses[i, j] = model.loss(batch)
    model.update(start)
    return losses


def _as_long(direction: Mapping[str, Array], weights: Mapping[str, Array]) -> dict[str, Array]:
    """The direction, in each weight scaled to the weight's own norm."""
    found = {}
    for name, array in weights.items():
        norm = float(np.linalg.norm(direction[name]))
        scale = float(np.linalg.norm(array)) / norm if norm else 0.0
        found[name] = (scale * direction[name]).astype(array.dtype)
    return found
