"""Norms that neither overflow nor underflow on the way.

A norm is kept as the largest magnitude and the norm relative to it, so that squares never leave the range
of float64, and a factor c/n is right even where n itself would be inf.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Norm:
    """The 2-norm of all entries of some arrays together, or of each group of an array's entries.

    Args:
        arrays: float64.
        keep_first_axis: one norm per index of the first axis, which has one length in all arrays; otherwise
            one norm in all.

    `largest` and `relative` broadcast against the arrays; their product is the norm.
    """

    def __init__(self, arrays: Iterable[Array], *, keep_first_axis: bool = False) -> None:
        rows = [array.reshape(len(array) if keep_first_axis else 1, -1) for array in arrays]
        count = len(rows[0]) if rows else 1
        with np.errstate(invalid="ignore", over="ignore"):
            largest = np.zeros((count, 1))
            for row in rows:
                largest = np.maximum(largest, np.max(np.abs(row), axis=1, keepdims=True, initial=0.0))
            safe = np.where(largest > 0.0, largest, 1.0)
            squares = sum((np.sum((row / safe) ** 2, axis=1, keepdims=True) for row in rows), np.zeros(1))
        self.largest = largest[:, 0]
        self.relative = np.sqrt(np.broadcast_to(squares, (count, 1))[:, 0])

    @property
    def value(self) -> Array:
        """The norms (inf where a norm is beyond float64)."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.where(self.finite & (self.largest > 0.0), self.largest * self.relative, self.largest)

    @property
    def finite(self) -> Array:
        """Where every entry is finite."""
        return np.isfinite(self.largest)

    def factor(self, threshold: Any, *, offset: float = 0.0) -> Array:
        """min(1, threshold / (norm + offset)); 1 where an entry is not finite, so that it stays visible."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            safe = np.where(self.finite & (self.largest > 0.0), self.largest, 1.0)
            ratio = (threshold / safe) / (self.relative + offset / safe)
        return np.where(self.finite & (self.largest > 0.0), np.minimum(1.0, ratio), 1.0)


def scaled(array: Array, factor: Array) -> Array:
    """`array` times a factor per index of its first axis, or times one factor."""
    if factor.size == 1:
        return array if factor.item() == 1.0 else array * factor.item()
    return array * factor.reshape(-1, *(1,) * (array.ndim - 1))
