"""Norms that neither overflow nor underflow on the way.

A norm is kept as the largest magnitude and the norm relative to it, so that squares never leave the range
of float64, and a factor c/n is right even where n itself would be inf.  Arrays are NumPy's or torch's, and
nothing here waits for a device.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.namespaces import namespace_of

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
        rows = rows or [np.zeros((1, 0))]
        self._xp = xp = namespace_of(rows[0])
        with np.errstate(invalid="ignore", over="ignore"):
            nothing = xp.zeros_like(rows[0].sum(1))[:, None]
            largest = functools.reduce(
                xp.maximum, [xp.amax(xp.concatenate([nothing, xp.abs(row)], 1), 1) for row in rows]
            )[:, None]
            safe = xp.where(largest > 0.0, largest, xp.ones_like(largest))
            squares = functools.reduce(operator.add, [((row / safe) ** 2).sum(1) for row in rows])
        self.largest = largest[:, 0]
        self.relative = xp.sqrt(squares)

    @property
    def value(self) -> Array:
        """The norms (inf where a norm is beyond float64)."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self._xp.where(
                self.finite & (self.largest > 0.0), self.largest * self.relative, self.largest
            )

    @property
    def finite(self) -> Array:
        """Where every entry is finite."""
        return self._xp.isfinite(self.largest)

    def factor(self, threshold: Any, *, offset: float = 0.0) -> Array:
        """min(1, threshold / (norm + offset)); 1 where an entry is not finite, so that it stays visible."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            one, valid = self._xp.ones_like(self.largest), self.finite & (self.largest > 0.0)
            safe = self._xp.where(valid, self.largest, one)
            ratio = (threshold / safe) / (self.relative + offset / safe)
        return self._xp.where(valid, self._xp.minimum(one, ratio), one)


def scaled(array: Array, factor: Array) -> Array:
    """`array` times a factor per index of its first axis, or times one factor."""
    return array * factor.reshape(-1, *(1,) * (array.ndim - 1))
