"""Vectors as lists of floats, matrices as lists of rows, and the few operations that a cell needs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

Vector = list[float]
Matrix = list[Vector]
State = tuple[Vector, ...]


def sigmoid(a: float) -> float:
    """1 / (1 + e^−a), written so that e is never raised to a large positive power."""
    e = math.exp(-abs(a))
    return 1 / (1 + e) if a >= 0 else e / (1 + e)


def dot(u: Vector, v: Vector) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True))


def add(u: Vector, v: Vector) -> Vector:
    return [a + b for a, b in zip(u, v, strict=True)]


def multiply(u: Vector, v: Vector) -> Vector:
    """u⊙v."""
    return [a * b for a, b in zip(u, v, strict=True)]


def affine(w: Matrix, x: Vector, b: Vector) -> Vector:
    """W x + b."""
    return [dot(row, x) + bias for row, bias in zip(w, b, strict=True)]


def transposed(w: Matrix, delta: Vector) -> Vector:
    """Wᵀ δ."""
    return [sum(a * d for a, d in zip(column, delta, strict=True)) for column in zip(*w, strict=True)]


def add_outer(total: Matrix, delta: Vector, x: Vector) -> None:
    """total += δ xᵀ."""
    for row, d in zip(total, delta, strict=True):
        row[:] = [a + d * b for a, b in zip(row, x, strict=True)]


def add_to(total: Vector, delta: Vector) -> None:
    """total += δ."""
    total[:] = add(total, delta)


def thirds(a: Vector) -> tuple[Vector, Vector, Vector]:
    size = len(a) // 3
    return a[:size], a[size : 2 * size], a[2 * size :]


def quarters(a: Vector) -> tuple[Vector, Vector, Vector, Vector]:
    size = len(a) // 4
    return a[:size], a[size : 2 * size], a[2 * size : 3 * size], a[3 * size :]


@dataclass(frozen=True)
class Weights:
    """One layer's parameters, or, in the same shape, the gradients that add up over steps and samples."""

    weight_ih: Matrix
    weight_hh: Matrix
    bias_ih: Vector
    bias_hh: Vector

    def zeros(self) -> Weights:
        def like(matrix: Matrix) -> Matrix:
            return [[0.0] * len(row) for row in matrix]

        rows = len(self.bias_ih)
        return Weights(like(self.weight_ih), like(self.weight_hh), [0.0] * rows, [0.0] * rows)


class Equations(NamedTuple):
    """One cell, one sample, one step.

    step: (weights, x, state) -> (next state, what `back` will need of it)
    back: (weights, total, x, state, kept, dL/d next state) -> (dL/dx, dL/d state), and adds dL/d weights
        to `total`
    """

    step: Callable[[Weights, Vector, State], tuple[State, Any]]
    back: Callable[[Weights, Weights, Vector, State, Any, State], tuple[Vector, State]]


def products_back(
    w: Weights, total: Weights, x: Vector, h: Vector, delta_ih: Vector, delta_hh: Vector
) -> tuple[Vector, Vector]:
    """Back through W_ih x + b_ih and W_hh h + b_hh, where δ arrived: (dL/dx, dL/dh)."""
    add_outer(total.weight_ih, delta_ih, x)
    add_outer(total.weight_hh, delta_hh, h)
    add_to(total.bias_ih, delta_ih)
    add_to(total.bias_hh, delta_hh)
    return transposed(w.weight_ih, delta_ih), transposed(w.weight_hh, delta_hh)


def rounded(values: Vector) -> Vector:
    """Each value at its nearest float32."""
    return array("f", values).tolist()
