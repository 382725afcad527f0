"""Both norms of many matrices: collected until there are enough of one shape, then taken at once."""

from __future__ import annotations

import functools
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.gradients.largest import LargestSingularValue
from harness.gradients.namespace import Space, as_float64, namespace_of
from harness.gradients.scaled import LOG10_2, power_of_two
from harness.gradients.trajectory import Array

Native = Any

MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Measured:
    """Matrices of one lag.

    Args:
        row: where their norms go.
        matrices: (B, R, C) with the norms that are asked for.
        squares: (B,), ‖matrices‖_F².
        exponent: (B,): the matrices stand for matrices·2^exponent.
    """

    row: int
    matrices: Native
    squares: Native
    exponent: Native


class Norms:
    """log10 of the spectral and of the Frobenius norm at every lag, (L, B) each.

    Args:
        space: where the matrices live.
        shape: (L, B).
        worker: takes the norms while the caller goes on; None where the caller does it.
    """

    def __init__(self, space: Space, shape: tuple[int, int], worker: Executor | None = None) -> None:
        self.spectral, self.frobenius = np.empty(shape), np.empty(shape)
        self._space, self._worker, self._samples = space, worker, shape[1]
        self._largest = LargestSingularValue(space, shape[1])
        self._waiting: list[Measured] = []
        self._pending: list[Future[None]] = []
        self._memory: Native = None

    def take(self, found: Measured) -> None:
        """Enter the matrices of one lag."""
        if self._waiting and self._waiting[0].matrices.shape != found.matrices.shape:
            self._hand_over()
        self._waiting.append(found)
        _, rows, columns = found.matrices.shape
        enough = self._space.chunk_bytes // (8 * self._samples * rows * columns)
        if len(self._waiting) >= min(MOST_AT_ONCE, enough):
            self._hand_over()

    def finish(self) -> None:
        """Return when all norms are there."""
        self._hand_over()
        for future in self._pending:
            future.result()

    def _hand_over(self) -> None:
        found, self._waiting = self._waiting, []
        if not found:
            return
        if self._worker is None:
            self._measure(found)
            return
        self._pending.append(self._worker.submit(self._measure, found))
        # No more than two batches wait: their matrices are the memory that this takes.
        if len(self._pending) > 2:
            self._pending.pop(0).result()

    def _measure(self, found: list[Measured]) -> None:
        xp, get = self._space.xp, self._space.get
        rows = [one.row for one in found]
        squares = xp.stack([as_float64(one.squares) for one in found])
        exponent = get(xp.stack([one.exponent for one in found]))
        matrices = self._side_by_side([one.matrices for one in found])
        largest = self._largest(matrices, squares.reshape(-1)).reshape(squares.shape)
        self.spectral[rows] = _log10(get(largest), exponent)
        self.frobenius[rows] = _log10(get(squares), exponent)

    def _side_by_side(self, matrices: list[Native]) -> Native:
        """All of them in one array, in the same memory as those before where these had the same shape."""
        shape = (len(matrices) * matrices[0].shape[0], *matrices[0].shape[1:])
        if self._memory is None or tuple(self._memory.shape) != shape:
            self._memory = self._space.xp.concatenate(matrices)
        else:
            self._space.xp.concatenate(matrices, out=self._memory)
        return self._memory


def _log10(squares: Array, exponent: Array) -> Array:
    """log10 of the roots of squares·4^exponent; an exact zero is −inf."""
    with np.errstate(divide="ignore"):
        logs = 0.5 * np.log10(np.maximum(squares, 0.0))
    return logs + np.where(squares > 0.0, exponent * LOG10_2, 0.0)


def stacked(row: int, parts: list[tuple[Native, Native, Native]]) -> Measured:
    """Rows on top of each other, from (matrices, exponent, squares) of each part, at the largest exponent."""
    if len(parts) == 1:
        (matrices, exponent, squares) = parts[0]
        return Measured(row, matrices, squares, exponent)
    xp = namespace_of(parts[0][0])
    top = functools.reduce(xp.maximum, [exponent for _, exponent, _ in parts])
    weights = [power_of_two(exponent - top, matrices) for matrices, exponent, _ in parts]
    return Measured(
        row,
        xp.concatenate([part[0] * w[:, None, None] for part, w in zip(parts, weights, strict=True)], 1),
        functools.reduce(
            lambda a, b: a + b, [part[2] * w**2 for part, w in zip(parts, weights, strict=True)]
        ),
        top,
    )
