"""As many rows of P(t, k) as still count.

Norms do not change when orthogonal matrices multiply from the left, and products from the right commute with
that.  So where P = U₁U₁ᵀP + E with few columns in U₁ and ‖E‖ below 3e-7 of the norms that are asked for, the
walk goes on with U₁ᵀP alone.  The rows left out are orthogonal to those kept: to a norm they add half the
square of their relative size, 5e-14.

Whether it stays so depends on the Jacobians to come.  Therefore random combinations of the rows left out are
carried along (the mean square of their norms is ‖E K‖_F², K the product since), with a little noise in every
direction on top, for what rounding had already lost.  Where they grow beyond 5e-6 of what is kept (1e-11 in a
norm), or what is kept leaves the range of plain numbers, the walk goes back to the last whole P and takes all
rows from there.

Source: the range finder is that of Halko, Martinsson & Tropp 2011, "Finding structure with randomness".
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.gradients.namespace import integer_zeros
from harness.gradients.products import RowProduct
from harness.gradients.scaled import beside, power_of_two
from harness.gradients.walk import Rows, Walk

Native = Any

PROBES = 8
FEWEST_ROWS = 16
"""So few rows cost no more than the call that multiplies them."""
FIRST_LOOK = 24
LOOK_AGAIN = 1.4
"""At the next look the lag is so many times as long: how many rows count falls about as its inverse."""
_LEAVE_OUT = {"float64": 3e-7, "float32": 5e-5}
_GIVE_UP = {"float64": 5e-6, "float32": 1e-3}
_NOISE = {"float64": 1e-15, "float32": 1e-7}
"""All relative to the norms that are kept."""


class Carried:
    """The rows of one later state.

    Args:
        walk: through the trajectory.
        later: the state, an index into the cell's.
        wanted: which columns (indices of earlier states) are asked for together, as in ((0,), (0, 1)).
    """

    def __init__(self, walk: Walk, later: int, wanted: Sequence[tuple[int, ...]]) -> None:
        trajectory = walk.trajectory
        names = trajectory.cell.state_names
        self._walk, self._space, self._wanted = walk, walk.space, wanted
        self._rows: Rows | RowProduct = Rows.identity(
            walk.space, names, names[later], trajectory.batch_size, trajectory.hidden_size
        )
        self._whole: Rows | None = None
        """The last P of which nothing was left out; None while nothing is."""
        self._next_look = FIRST_LOOK
        self._rng = np.random.default_rng(0)

    def to(self, lag: int) -> None:
        """On to P(t, t − lag)."""
        while self._rows.lag < lag:
            self._rows = self._walk.to(self._rows, min(lag, self._next_look))
            if not self._trustworthy():
                self._take_all_rows()
            if self._rows.lag >= self._next_look:
                self._look()

    def part(self, columns: tuple[int, ...]) -> tuple[Native, Native, Native]:
        """Rows (B, R, C) that have the norms of these columns of P side by side, times 2^exponent (B,), and
        the sum of their squares (B,)."""
        xp = self._space.xp
        if isinstance(self._rows, RowProduct):
            mantissa, exponent = beside([self._rows.columns[c] for c in columns]).aligned()
            return mantissa, exponent, xp.einsum("brc,brc->b", mantissa, mantissa)
        rows, kept = self._rows, self._kept(self._rows)
        parts = [rows.columns[c][:, :kept] for c in columns]
        squares = functools.reduce(lambda a, b: a + b, [rows.squares[c][:, :kept] for c in columns])
        mantissa = parts[0] if len(parts) == 1 else xp.concatenate(parts, -1)
        if rows.even:
            return mantissa, rows.exponent[:, 0], squares.sum(-1)
        top = xp.amax(rows.exponent[:, :kept], -1)
        weight = power_of_two(rows.exponent[:, :kept] - top[:, None], mantissa)
        return mantissa * weight[..., None], top, (squares * weight**2).sum(-1)

    def _kept(self, rows: Rows) -> int:
        """How many of the rows are not probes."""
        return int(rows.columns[0].shape[1]) - (PROBES if self._whole is not None else 0)

    def _squared_norms(self, rows: Rows) -> tuple[list[Native], list[Native]]:
        """‖·‖_F² of the wanted columns and its share that the probes see, (B,) each, at one exponent."""
        weight: Native = 1.0
        if not rows.even:
            top = self._space.xp.amax(rows.exponent, -1)[:, None]
            weight = power_of_two(2 * (rows.exponent - top), rows.columns[0])
        count, kept, seen = self._kept(rows), [], []
        for columns in self._wanted:
            total = functools.reduce(lambda a, b: a + b, [rows.squares[c] for c in columns])
            total = total if rows.even else total * weight
            kept.append(total[:, :count].sum(-1))
            seen.append(total[:, count:].sum(-1) / PROBES)
        return kept, seen

    def _trustworthy(self) -> bool:
        """Whether what was left out is still nothing beside what is kept."""
        if self._whole is None:
            return True
        if isinstance(self._rows, RowProduct):
            return False
        limit = _GIVE_UP[self._space.dtype] ** 2
        kept, seen = self._squared_norms(self._rows)
        return all(bool((s <= limit * k).all()) for k, s in zip(kept, seen, strict=True))

    def _take_all_rows(self) -> None:
        assert self._whole is not None
        lag, rows = self._rows.lag, self._whole
        self._whole = None
        self._rows = self._walk.to(rows, lag)
        self._next_look = 2 * lag

    def _look(self) -> None:
        """Leave rows out, if there are enough that do not count."""
        rows = self._rows
        if isinstance(rows, Rows) and (reduced := self._reduced(rows)) is not None:
            if self._whole is None:
                self._whole = rows
            self._rows = reduced
        self._next_look = int(LOOK_AGAIN * rows.lag) + 1

    def _reduced(self, rows: Rows) -> Rows | None:
        """Fewer rows and probes of the rest, or None where too many of them count."""
        kept, xp = self._kept(rows), self._space.xp
        if kept <= FEWEST_ROWS:
            return None
        norms, _ = self._squared_norms(rows)
        smallest = xp.sqrt(functools.reduce(xp.minimum, norms))
        allowed = smallest * _LEAVE_OUT[self._space.dtype]
        top = xp.amax(rows.exponent, -1)[:, None]
        weight = power_of_two(rows.exponent - top, rows.columns[0])[..., None]
        everything = xp.concatenate([c * weight for c in rows.columns], -1)
        matrix, probes = everything[:, :kept], everything[:, kept:]
        basis = self._basis(matrix, allowed)
        if basis is None:
            return None
        new = basis.swapaxes(1, 2) @ matrix
        rest = matrix - basis @ new
        if not bool(((rest**2).sum((1, 2)) <= allowed**2).all()):
            return None
        noise = xp.sqrt((matrix**2).sum((1, 2)))[:, None, None] * _NOISE[self._space.dtype]
        seen = self._gaussian(PROBES, kept) @ rest + noise * self._gaussian(PROBES, matrix.shape[2])
        if probes.shape[1]:
            seen = seen + probes
        parts = xp.concatenate([new, seen], 1)
        size = rows.columns[0].shape[2]
        columns = tuple(parts[:, :, i * size : (i + 1) * size] * 1.0 for i in range(len(rows.columns)))
        exponent = integer_zeros(parts.shape[:2], parts) + top
        return Rows.of(xp, rows.lag, columns, exponent, True)

    def _basis(self, matrix: Native, allowed: Native) -> Native | None:
        """Orthonormal (B, R, r) that leaves out no more than `allowed` (B,), r at most ⅞ of R."""
        xp = self._space.xp
        most = 7 * matrix.shape[1] // 8
        q, r = xp.linalg.qr(matrix @ self._gaussian(matrix.shape[2], most))
        # Row j of R has the size of √most singular values number j: sums of its tail say how far to go.
        tails = xp.sqrt(xp.cumsum(xp.flip((r**2).sum(2), (1,)), 1) / most)
        enough = int((tails > 0.3 * allowed[:, None]).sum(1).max())
        return None if enough >= most - 1 else q[:, :, : enough + 2]

    def _gaussian(self, rows: int, columns: int) -> Native:
        return self._space.put(self._rng.standard_normal((rows, columns)))
