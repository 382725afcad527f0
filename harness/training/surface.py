"""The error surface of a recurrent network: flat plains, steep cliffs, and what descent does there.

One unit, h ← w·σ(h) + b over T steps with L = (σ(h_T) − y)², is enough for a cliff: where the map has two
stable points, a small change of w or b sends h_T from one to the other.

Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", figure 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping
from harness.training.model import Batch, SequenceModel

Array = NDArray[Any]


HALVINGS, MOST_WAYS = 40, 256
"""How often the way between two points is halved in search of a cliff, and how many ways are searched."""


class Surface(Protocol):
    """A loss over two numbers."""

    def loss(self, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
        """L and its derivatives by the first number and by the second."""


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
        """L, ∂L/∂w and ∂L/∂b, each in the shape of w and b together, by forward differentiation.

        Of two numbers in Python's own floats: a long descent asks for one point at a time.
        """
        from scipy.special import expit  # a quarter of a second to import

        weight, bias = np.broadcast_arrays(np.float64(weight), np.float64(bias))
        if weight.ndim == 0:
            return self._differentiated(float(weight), float(bias), 0.0, _sigmoid)
        return self._differentiated(weight, bias, np.zeros(weight.shape), expit)

    def _differentiated(self, weight: Any, bias: Any, zero: Any, sigmoid: Any) -> tuple[Any, Any, Any]:
        """The same equations for arrays and for floats, each with a sigmoid and zeros of its kind."""
        h, by_weight, by_bias = zero + self.initial, zero, zero
        for _ in range(self.steps):
            s = sigmoid(h)
            slope = weight * s * (1.0 - s)
            by_weight, by_bias = s + slope * by_weight, 1.0 + slope * by_bias
            h = weight * s + bias
        output = sigmoid(h)
        through = 2.0 * (output - self.target) * output * (1.0 - output)
        return (output - self.target) ** 2, through * by_weight, through * by_bias


def steepest_slope(surface: Surface, first: Array, second: Array) -> float:
    """The steepest slope along the lines of a grid, also between its points.

    A cliff may be far narrower than a cell, and no point of the grid need lie on it.  So the way between two
    neighbours whose losses differ is halved, and the half that falls more is kept, down to a trillionth of
    it; the steepest of all these stretches counts.

    Args:
        first, second: (N,) and (M,), where the lines of the grid stand.

    Returns:
        In units of the loss over those of the plane; of the ways whose losses differ most, which are
        MOST_WAYS at the most.
    """
    grid = np.stack(np.meshgrid(first, second))  # (2, M, N)
    near = np.concatenate([grid[:, :, :-1].reshape(2, -1), grid[:, :-1].reshape(2, -1)], axis=1)
    far = np.concatenate([grid[:, :, 1:].reshape(2, -1), grid[:, 1:].reshape(2, -1)], axis=1)
    at_near, at_far = surface.loss(*near)[0], surface.loss(*far)[0]
    chosen = np.argsort(-np.abs(at_far - at_near), kind="stable")[:MOST_WAYS]
    near, far, at_near, at_far = near[:, chosen], far[:, chosen], at_near[chosen], at_far[chosen]
    steepest = 0.0
    for _ in range(HALVINGS):
        slopes = np.abs(at_far - at_near) / np.hypot(*(far - near))
        steepest = max(steepest, float(slopes.max()))
        middle = (near + far) / 2.0
        between = surface.loss(*middle)[0]
        nearer = np.abs(between - at_near) >= np.abs(at_far - between)
        near, far = np.where(nearer, near, middle), np.where(nearer, middle, far)
        at_near, at_far = np.where(nearer, at_near, between), np.where(nearer, between, at_far)
    return steepest


def _sigmoid(h: float) -> float:
    """1 / (1 + e^−h), however large h is."""
    small = math.exp(-abs(h))
    return (1.0 if h >= 0 else small) / (1.0 + small)


@dataclass(frozen=True)
class Path:
    """A descent: where it stood before each step and after the last, (N + 1,) each; the norm of the gradient
    there.  One that leaves what numbers can hold ends before."""

    weight: Array
    bias: Array
    loss: Array
    gradient_norm: Array


def descend(
    surface: Surface,
    weight: float,
    bias: float,
    learning_rate: float,
    steps: int,
    clipping: Clipping | None = None,
) -> Path:
    """Gradient descent on a surface, the gradient clipped where asked."""
    place = {"weight": np.array(weight, np.float64), "bias": np.array(bias, np.float64)}
    rows: list[tuple[Any, ...]] = []
    for _ in range(steps + 1):
        loss, by_weight, by_bias = surface.loss(place["weight"], place["bias"])
        if rows and not np.isfinite([loss, by_weight, by_bias]).all():
            break
        rows.append((float(place["weight"]), float(place["bias"]), loss, np.hypot(by_weight, by_bias)))
        gradient = {"weight": np.asarray(by_weight), "bias": np.asarray(by_bias)}
        if clipping is not None:
            gradient = clipping.apply(gradient, place).gradients
        place = {name: value - learning_rate * gradient[name] for name, value in place.items()}
    columns = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return Path(*columns)


class Plane:
    """A plane through a model's weights, by how far it goes along one direction and along another.

    The first direction is the gradient's, the second is random; both have, in each weight, the norm that the
    weight itself has, so that a reach of 1 is as far as the weights are from zero (Li et al. 2018,
    "Visualizing the loss landscape of neural nets").  The model is left with the weights it had, in arrays of
    their own.
    """

    def __init__(self, model: SequenceModel, batch: Batch, *, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, 11])
        self._model, self._batch = model, batch
        self._start = {name: array.copy() for name, array in model.weights.items()}
        gradient = model.loss_and_gradients(batch).gradients
        noise = {name: rng.standard_normal(array.shape) for name, array in self._start.items()}
        self._first, self._second = _as_long(gradient, self._start), _as_long(noise, self._start)

    def losses(self, reach: Array) -> Array:
        """(N, N): `reach` times the first direction by rows, times the second by columns."""
        losses = np.empty((len(reach), len(reach)))
        for i, along in enumerate(reach):
            for j, across in enumerate(reach):
                with self._at(along, across):
                    losses[i, j] = self._model.loss(self._batch)
        return losses

    def loss(self, along: float, across: float) -> tuple[float, float, float]:
        """L and its two derivatives: the gradient by the weights, projected on each direction."""
        with self._at(along, across):
            found = self._model.loss_and_gradients(self._batch)
        with np.errstate(over="ignore", invalid="ignore"):  # ∞ · 0: a descent ends there
            slopes = [
                sum(np.sum(array * way[name], dtype=np.float64) for name, array in found.gradients.items())
                for way in (self._first, self._second)
            ]
        return found.value, float(slopes[0]), float(slopes[1])

    @contextmanager
    def _at(self, along: float, across: float) -> Iterator[None]:
        with np.errstate(over="ignore", invalid="ignore"):
            self._model.update(
                {
                    name: (array + along * self._first[name] + across * self._second[name]).astype(
                        array.dtype
                    )
                    for name, array in self._start.items()
                }
            )
            try:
                yield
            finally:
                self._model.update(self._start)


def _as_long(direction: Mapping[str, Array], weights: Mapping[str, Array]) -> dict[str, Array]:
    """The direction, in each weight scaled to the weight's own norm."""
    found = {}
    for name, array in weights.items():
        norm = float(np.linalg.norm(direction[name]))
        scale = float(np.linalg.norm(array)) / norm if norm else 0.0
        found[name] = (scale * direction[name]).astype(array.dtype)
    return found
