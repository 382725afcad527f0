"""Rows of P(t, k) walked back from an anchor, in plain numbers wherever these are safe.

A step then costs the cell's few H×H products and nothing else: the exponents are looked at once in several
steps, when the squared row norms say whether anything came near the ends of the range.  Where something did,
those steps are taken again with an exponent for every row of every block (`products.RowProduct`), and the
walk returns to plain numbers when the blocks of a row are of comparable size again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.gradients.factors import Factors
from harness.gradients.namespace import Space, as_int64, integer_zeros
from harness.gradients.onestep import squared_norms
from harness.gradients.products import RowProduct
from harness.gradients.scaled import ZERO_EXPONENT, Scaled, power_of_two
from harness.gradients.trajectory import Trajectory

Native = Any

LONGEST_STRIDE = 16
"""Steps between two looks at the exponents."""
_SAFE = {"float64": 400, "float32": 45}
"""Row norms stay within 2^±this: their squares, and what one product adds up, are inside the range."""
_CALM = {"float64": 120, "float32": 15}
"""Row norms beyond 2^±this are brought back to 1."""


@dataclass
class Rows:
    """Some rows of P(t, t − lag), and whatever else multiplies the same Jacobians from the left.

    Args:
        lag: how far they have come.
        columns: per state (B, R, H), plain numbers; row r stands for columns·2^exponent[r].
        exponent: (B, R).
        squares: (states, B, R), the squared norms of the rows of `columns`.
        even: whether all rows of a sample are known to have one exponent.
    """

    lag: int
    columns: tuple[Native, ...]
    exponent: Native
    squares: Native
    even: bool

    @classmethod
    def identity(cls, space: Space, names: Sequence[str], later: str, batch_size: int, size: int) -> Rows:
        """P(t, t): the rows of one state."""
        columns = []
        for name in names:
            eye = np.eye(size) if name == later else np.zeros((size, size))
            columns.append(space.put(np.broadcast_to(eye, (batch_size, size, size)).copy()))
        return cls.of(space.xp, 0, tuple(columns), integer_zeros((batch_size, size), columns[0]), True)

    @classmethod
    def of(cls, xp: Any, lag: int, columns: tuple[Native, ...], exponent: Native, even: bool) -> Rows:
        return cls(lag, columns, exponent, squared_norms(xp, columns), even)


@dataclass
class Stretch:
    """The same rows at several lags, with one exponent.

    Args:
        lags: in increasing order.
        columns: per state (n, B, R, H) for the n lags.
        exponent, even: see `Rows`.
        squares: (states, n, B, R).
    """

    lags: Sequence[int]
    columns: tuple[Native, ...]
    exponent: Native
    squares: Native
    even: bool

    @classmethod
    def of(cls, rows: Rows) -> Stretch:
        """One lag alone."""
        columns = tuple(block[None] for block in rows.columns)
        return cls((rows.lag,), columns, rows.exponent, rows.squares[:, None], rows.even)

    def last(self) -> Rows:
        columns = tuple(block[-1] for block in self.columns)
        return Rows(self.lags[-1], columns, self.exponent, self.squares[:, -1], self.even)

    def first(self, count: int) -> Stretch:
        """The first few lags alone."""
        columns = tuple(block[:count] for block in self.columns)
        return Stretch(self.lags[:count], columns, self.exponent, self.squares[:, :count], self.even)


Passed = Stretch | RowProduct
"""What a walk came by."""


class Walk:
    """Takes `Rows` from lag to lag of one trajectory, the end of which is the anchor."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.space = trajectory.space
        self._factors = Factors(trajectory)
        self._stride = LONGEST_STRIDE
        self._safe, self._calm = (4.0 ** bound[self.space.dtype] for bound in (_SAFE, _CALM))

    def past(
        self, rows: Rows | RowProduct, lags: Sequence[int], end: int
    ) -> tuple[list[Passed], Rows | RowProduct]:
        """The rows at each of these later lags, and at the lag where the walk ends."""
        passed: list[Passed] = []
        while rows.lag < end:
            count = min(self._stride, end - rows.lag)
            wanted = [lag for lag in lags if rows.lag < lag <= rows.lag + count]
            if isinstance(rows, Rows):
                found, rows = self._plain(rows, count, wanted)
            else:
                found, rows = self._careful(rows, count, wanted)
            passed += found
        return passed, rows

    def _plain(
        self, rows: Rows, count: int, wanted: Sequence[int]
    ) -> tuple[Sequence[Passed], Rows | RowProduct]:
        """Several steps in plain numbers, or with exponents where those did not do."""
        stretch = self._stretch(rows, count, wanted)
        with np.errstate(all="ignore"):
            if self._in_range(stretch.squares, rows.squares[:, None]):
                self._stride = min(LONGEST_STRIDE, self._stride * 2)
                last = stretch.last()
                after = last if self._within(last.squares, self._calm) else self._rescaled(last)
                return [stretch.first(len(wanted))] if wanted else [], after
        self._stride = max(1, count // 2)
        scaled = [Scaled(block, rows.exponent).normalised() for block in rows.columns]
        return self._careful(RowProduct(rows.lag, scaled), count, wanted)

    def _stretch(self, rows: Rows, count: int, wanted: Sequence[int]) -> Stretch:
        """Several steps in plain numbers: at least the wanted lags and the last one."""
        shape = tuple(rows.columns[0].shape)
        # Where not every lag is wanted, the others take turns in two places after those that are.
        kept = [*(lag for lag in wanted if lag < rows.lag + count), rows.lag + count]
        memory = [self.space.empty((len(kept) + 2, *shape)) for _ in rows.columns]
        lags, spare = range(rows.lag + 1, rows.lag + count + 1), len(kept)
        places = [kept.index(lag) if lag in kept else spare + lag % 2 for lag in lags]
        newest = self.trajectory.seq_len - rows.lag
        with np.errstate(all="ignore"):
            squares = self._factors.stretch(rows.columns, newest, places, memory)
        stacks = tuple(part[: len(kept)] for part in memory)
        return Stretch(kept, stacks, rows.exponent, squares[:, : len(kept)], rows.even)

    def _careful(
        self, product: RowProduct, count: int, wanted: Sequence[int]
    ) -> tuple[Sequence[Passed], Rows | RowProduct]:
        """Several steps with an exponent for every row of every block."""
        passed = []
        for t in self._steps(product.lag, count):
            product = product.times(self._factors.step.dense(*self._factors.at(t)))
            if product.lag in wanted:
                passed.append(product)
        return passed, self._returned(product)

    def _steps(self, lag: int, count: int) -> range:
        """J_t of the next `count` factors, the newest first."""
        newest = self.trajectory.seq_len - lag
        return range(newest, newest - count, -1)

    def _within(self, squares: Native, bound: float) -> bool:
        return float(squares.max()) < bound and float(squares.min()) > 1.0 / bound

    def _in_range(self, new: Native, old: Native) -> bool:
        """Whether no row came near the ends of the range; rows of zeros that were so before may stay."""
        if self._within(new, self._safe):
            return True
        inside = (new > 1.0 / self._safe) & (new < self._safe)
        return bool((inside | ((new == 0.0) & (old == 0.0))).all())

    def _rescaled(self, rows: Rows) -> Rows:
        """Norms brought back to about 1, rows that are not far apart by the same power of two."""
        xp = self.space.xp
        total = rows.squares.sum(0)
        own = as_int64(xp.frexp(total)[1]) // 2
        lowest = xp.full_like(own, ZERO_EXPONENT)
        own = xp.where(total == 0.0, lowest, own)
        top = xp.amax(own, -1)[:, None]
        shift = xp.where(own < top - 40, own, top + 0 * own)
        # Rows of zeros go with the largest: with an exponent of their own they would pass for it.
        shift = xp.where(own == lowest, xp.where(top == lowest, xp.zeros_like(own), top + 0 * own), shift)
        factor = power_of_two(-shift, rows.columns[0])
        return Rows(
            rows.lag,
            tuple(block * factor[..., None] for block in rows.columns),
            rows.exponent + shift,
            rows.squares * factor * factor,
            rows.even and bool((shift == top).all()),
        )

    def _returned(self, product: RowProduct) -> Rows | RowProduct:
        """In plain numbers, where the blocks of each row are comparable."""
        xp = self.space.xp
        exponents = [block.exponent for block in product.columns]
        top = exponents[0]
        for exponent in exponents[1:]:
            top = xp.maximum(top, exponent)
        near = _CALM[self.space.dtype]
        zero = [exponent <= ZERO_EXPONENT // 2 for exponent in exponents]
        if not all(
            bool(((exponent > top - near) | none).all())
            for exponent, none in zip(exponents, zero, strict=True)
        ):
            return product
        columns = tuple(
            block.mantissa * power_of_two(block.exponent - top, block.mantissa)[..., None]
            for block in product.columns
        )
        largest = xp.amax(top, -1)[:, None] + 0 * top
        exponent = xp.where(top <= ZERO_EXPONENT // 2, largest, top)
        exponent = xp.where(exponent <= ZERO_EXPONENT // 2, xp.zeros_like(top), exponent)
        return Rows.of(xp, product.lag, columns, exponent, False)
