"""Both norms of many matrices: collected until there are enough of one shape, then taken at once."""

from __future__ import annotations

import functools
import math
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np

from harness.gradients.largest import LargestSingularValue
from harness.gradients.namespace import Space, namespace_of
from harness.gradients.scaled import LOG10_2, power_of_two
from harness.gradients.trajectory import Array

Native = Any

FEWEST_AT_ONCE, MOST_AT_ONCE = 4, 16


class Norms:
    """log10 of the spectral and of the Frobenius norm at every lag, (L, B) each.

    Args:
        space: where the matrices live.
        shape: (L, B).
        worker: takes the norms while the caller goes on; None where the caller does it.
        kernel: see `LargestSingularValue`.
    """

    def __init__(
        self, space: Space, shape: tuple[int, int], worker: Executor | None = None, kernel: Any = None
    ) -> None:
        self.spectral, self.frobenius = np.empty(shape), np.empty(shape)
        self._space, self._worker, self._samples = space, worker, shape[1]
        self._largest = LargestSingularValue(space, shape[1], kernel)
        # A kernel takes one matrix after another: for it nothing has to be put together.
        self._enough = 1 if kernel is not None and space.is_numpy else None
        self._waiting: list[tuple[int, Native, Native]] = []
        self._pending: list[Future[None]] = []

    def take(self, row: int, matrices: Native, exponent: Native) -> None:
        """Enter the matrices of one or several lags.

        Args:
            row: where the norms of the first lag go; those of the others follow.
            matrices: (n, B, R, C) for the n lags, with the norms that are asked for.
            exponent: (n, B): the matrices stand for matrices·2^exponent.
        """
        if self._waiting and self._waiting[0][1].shape[1:] != matrices.shape[1:]:
            self._hand_over()
        self._waiting.append((row, matrices, exponent))
        enough = self._enough or most_at_once(self._space, math.prod(matrices.shape[1:]))
        if sum(len(each) for _, each, _ in self._waiting) >= enough:
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

    def _measure(self, found: list[tuple[int, Native, Native]]) -> None:
        concatenate, get = self._space.xp.concatenate, self._space.get
        alone = len(found) == 1
        matrices = found[0][1] if alone else concatenate([matrices for _, matrices, _ in found])
        exponent = get(found[0][2] if alone else concatenate([exponent for _, _, exponent in found]))
        rows = [row + place for row, each, _ in found for place in range(len(each))]
        largest, squares = (get(norms).reshape(exponent.shape) for norms in self._largest(matrices))
        self.spectral[rows] = _log10(largest, exponent)
        self.frobenius[rows] = _log10(squares, exponent)


def most_at_once(space: Space, numbers: int) -> int:
    """How many lags, of so many numbers each, are worth taking together."""
    return max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, space.chunk_bytes // (8 * numbers)))


def _log10(squares: Array, exponent: Array) -> Array:
    """log10 of the roots of squares·4^exponent; an exact zero is −inf."""
    with np.errstate(divide="ignore"):
        logs = 0.5 * np.log10(np.maximum(squares, 0.0))
    return logs + np.where(squares > 0.0, exponent * LOG10_2, 0.0)


def stacked(parts: list[tuple[Native, Native]]) -> tuple[Native, Native]:
    """Rows on top of each other, from (matrices, exponent) of each part, at the largest exponent."""
    if len(parts) == 1:
        return parts[0]
    xp = namespace_of(parts[0][0])
    top = functools.reduce(xp.maximum, [exponent for _, exponent in parts])
    weighted = [
        matrices * power_of_two(exponent - top, matrices)[..., None, None] for matrices, exponent in parts
    ]
    return xp.concatenate(weighted, -2), top
