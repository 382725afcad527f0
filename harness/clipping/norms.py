"""Norms that neither overflow nor underflow on the way.

A norm is kept as the largest magnitude and the norm relative to it, so that squares never leave the range
of float64, and scaling to c/n of it is right even where n itself would be inf, or c/n be 0.  Arrays are
NumPy's or torch's, and nothing here waits for a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
        kept = 1 if keep_first_axis else 0
        rows = [a.reshape(math.prod(a.shape[:kept]), math.prod(a.shape[kept:])) for a in arrays]
        rows = rows or [np.zeros((1, 0))]
        self._xp = xp = namespace_of(rows[0])
        with np.errstate(invalid="ignore", over="ignore"):
            nothing = xp.zeros_like(rows[0].sum(1))[:, None]  # of a group without entries
            # one array: a dozen small ones would cost a dozen times as many calls
            together = xp.abs(xp.concatenate([nothing, *rows], 1))
            largest = xp.amax(together, 1)[:, None]
            safe = xp.where(largest > 0.0, largest, xp.ones_like(largest))
            squares = ((together / safe) ** 2).sum(1)
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

    def bounding(self, threshold: Any, *, offset: float = 0.0) -> Callable[[Array], Array]:
        """What an array of those is bounded by: times min(1, threshold / (norm + offset)); as it is where an
        entry of the group is not finite, so that this stays visible.

        One number cannot hold every such factor: it is applied as a / b, where neither an entry times a nor
        that over b leaves the range before the result does.
        """
        xp, one = self._xp, self._xp.ones_like(self.largest)
        with np.errstate(all="ignore"):
            known = self.finite & (self.largest > 0.0)
            # The norm and the offset are unit·relative, 1 <= relative.
            unit = xp.where(known, xp.maximum(self.largest, offset * one), one)
            relative = self.relative * (self.largest / unit) + offset / unit
            small, clips = (unit > 1.0) & (threshold < 1.0), known & (threshold / unit < relative)
            a = xp.where(small, threshold / relative, threshold / unit)
            b = xp.where(small, unit, relative)
            a, b = xp.where(clips, a, one), xp.where(clips, b, one)

        def bounded(array: Array) -> Array:
            with np.errstate(all="ignore"):
                return by_first(a, array) * array / by_first(b, array)

        return bounded


def by_first(factor: Array, array: Array) -> Array:
    """A factor per index of the first axis of `array`, or one factor, so that it broadcasts against it."""
    return factor.reshape(-1, *(1,) * (array.ndim - 1))
