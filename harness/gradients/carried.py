"""As many rows of P(t, k) as still count.

Norms do not change when orthogonal matrices multiply from the left, and products from the right commute with
that.  So where P = U₁U₁ᵀP + E with few columns in U₁ and ‖E‖ below 1e-6 of the norms that are asked for, the
walk goes on with U₁ᵀP alone.  The rows left out are orthogonal to those kept: to a norm they add half the
square of their relative size, 5e-13.

Whether it stays so depends on the Jacobians to come.  Therefore random combinations of the rows left out are
carried along (the mean square of their norms is ‖E K‖_F², K the product since), with a little noise in every
direction on top, for what rounding had already lost.  Where they grow beyond 1e-5 of what is kept (5e-11 in a
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
FIRST_LOOK = 20
LEAST_PATIENCE, MOST_PATIENCE = 1.2, 3.0
"""Between two looks the lag grows at least and at most by these factors."""
SPARE = 2
"""Rows kept beyond what a look finds necessary."""
_LEAVE_OUT = {"float64": 1e-6, "float32": 5e-5}
_GIVE_UP = {"float64": 1e-5, "float32": 1e-3}
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
        self._sketch: Native = None

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
        squares = self._together(rows, columns)[:, :kept]
        mantissa = parts[0] if len(parts) == 1 else xp.concatenate(parts, -1)
        if rows.even:
            return mantissa, rows.exponent[:, 0], squares.sum(-1)
        top = xp.amax(rows.exponent[:, :kept], -1)
        weight = power_of_two(rows.exponent[:, :kept] - top[:, None], mantissa)
        return mantissa * weight[..., None], top, (squares * weight**2).sum(-1)

    def _together(self, rows: Rows, columns: tuple[int, ...]) -> Native:
        """Squared row norms of these columns, (B, R)."""
        return rows.squares[columns[0]] if len(columns) == 1 else rows.squares[list(columns)].sum(0)

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
            total = self._together(rows, columns)
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
        """Leave rows out, if there are enough that do not count, and say when to look again."""
        rows = self._rows
        later = MOST_PATIENCE
        if isinstance(rows, Rows) and self._kept(rows) > FEWEST_ROWS:
            self._rows, later = self._reduced(rows)
            if self._whole is None and self._rows is not rows:
                self._whole = rows
        self._next_look = int(later * rows.lag) + 1

    def _reduced(self, rows: Rows) -> tuple[Rows, float]:
        """Fewer rows and probes of the rest, or the same where too many count; when to look again."""
        kept, xp = self._kept(rows), self._space.xp
        norms, _ = self._squared_norms(rows)
        allowed = xp.sqrt(functools.reduce(xp.minimum, norms)) * _LEAVE_OUT[self._space.dtype]
        if not bool((allowed > 0.0).all()):  # beside exact zeros every row counts
            return rows, MOST_PATIENCE
        top = xp.amax(rows.exponent, -1)[:, None]
        weight = power_of_two(rows.exponent - top, rows.columns[0])[..., None]
        everything = xp.concatenate([c * weight for c in rows.columns], -1)
        matrix, probes = everything[:, :kept], everything[:, kept:]
        basis, later = self._basis(matrix, allowed)
        if basis is None:
            return rows, later
        new = basis.swapaxes(1, 2) @ matrix
        rest = matrix - basis @ new
        if not bool(((rest**2).sum((1, 2)) <= allowed**2).all()):
            return rows, later
        noise = xp.sqrt((matrix**2).sum((1, 2)))[:, None, None] * _NOISE[self._space.dtype]
        seen = self._gaussian(PROBES, kept) @ rest + noise * self._gaussian(PROBES, matrix.shape[2])
        parts = xp.concatenate([new, seen + probes if probes.shape[1] else seen], 1)
        size = rows.columns[0].shape[2]
        columns = tuple(parts[:, :, i * size : (i + 1) * size] * 1.0 for i in range(len(rows.columns)))
        return Rows.of(xp, rows.lag, columns, integer_zeros(parts.shape[:2], parts) + top, True), later

    def _basis(self, matrix: Native, allowed: Native) -> tuple[Native | None, float]:
        """Orthonormal (B, R, r) that leaves out about `allowed` (B,), if r is at most ⅞ of R; and the factor
        by which the lag must grow until ¾ of the rows will do."""
        xp, most = self._space.xp, 7 * matrix.shape[1] // 8
        if self._sketch is None:
            self._sketch = self._gaussian(matrix.shape[2], most)
        q, r = xp.linalg.qr(matrix @ self._sketch[:, :most])
        # Row j of R has the size of √most singular values number j: sums of its tail say how far to go.
        tails = xp.flip(xp.sqrt(xp.cumsum(xp.flip((r**2).sum(2), (1,)), 1) / most), (1,))
        goal = 0.3 * allowed[:, None]
        enough = int((tails > goal).sum(1).max()) + SPARE
        count = enough if enough <= most else matrix.shape[1]
        # Singular values fall exponentially with the lag, each at a rate of its own.
        logs = xp.log(tails[:, 3 * min(count, most) // 4] / tails[:, 0])
        target = xp.log(goal[:, 0] / tails[:, 0])
        later = float((target / xp.minimum(logs, 1e-3 * target)).max())
        basis = q[:, :, :count] if enough <= most else None
        return basis, min(max(later, LEAST_PATIENCE), MOST_PATIENCE)

    def _gaussian(self, rows: int, columns: int) -> Native:
        return self._space.put(self._rng.standard_normal((rows, columns)))
