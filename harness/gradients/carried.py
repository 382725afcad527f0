"""As many rows of P(t, k) as still count.

Norms do not change when orthogonal matrices multiply from the left, and products from the right commute with
that.  So where P = U₁U₁ᵀP + E with few columns in U₁ and ‖E‖ below 3e-6 of the norms that are asked for, the
walk goes on with U₁ᵀP alone.  The rows left out are orthogonal to those kept: to a norm they add half the
square of their relative size, 5e-12.

How large E is, random combinations of its rows say: the mean square of their norms is ‖E‖_F².  Whether it
stays so depends on the Jacobians to come.  Therefore they are carried along (their mean square is then
‖E K‖_F², K the product since), with a little noise in every direction on top, for what rounding had already
lost.  Where they grow beyond 1e-5 of what is kept (5e-11 in a
norm), or what is kept leaves the range of plain numbers, the walk goes back to the last whole P and takes all
rows from there.

Source: the range finder is that of Halko, Martinsson & Tropp 2011, "Finding structure with randomness".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.gradients.namespace import integer_zeros
from harness.gradients.products import RowProduct
from harness.gradients.scaled import beside, power_of_two
from harness.gradients.walk import Passed, Rows, Stretch, Walk

Native = Any

PROBES = 8
FEWEST_ROWS = 16
"""So few rows cost no more than the call that multiplies them."""
FIRST_LOOK = 20
LEAST_PATIENCE, MOST_PATIENCE = 1.2, 3.0
"""Between two looks the lag grows at least and at most by these factors."""
SPARE = 2
"""Rows kept beyond what a look finds necessary."""
_LEAVE_OUT = {"float64": 3e-6, "float32": 5e-5}
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
        self._passed: list[Passed] = []
        self._whole: Rows | None = None
        """The last P of which nothing was left out; None while nothing is."""
        self._next_look = FIRST_LOOK
        self._rng = np.random.default_rng(0)
        self._sketch: Native = None

    @property
    def next_look(self) -> int:
        """The lag from which on it may be asked again whether there are rows to leave out."""
        return self._next_look

    @property
    def numbers_per_state(self) -> int:
        """B·R·H of the rows that are carried."""
        rows = self._rows
        if isinstance(rows, RowProduct):
            return math.prod(rows.columns[0].mantissa.shape)
        return math.prod(rows.columns[0].shape)

    def past(self, lags: Sequence[int]) -> None:
        """By these lags, with the same rows at all of them, and to the last one."""
        while self._rows.lag < lags[0] - 1:
            self._on((), min(lags[0] - 1, self._next_look))
        self._on(lags, lags[-1])

    def parts(self, columns: tuple[int, ...]) -> tuple[Native, Native]:
        """Of each lag that was last passed, rows (n, B, R, C) that have the norms of these columns of P side
        by side, times 2^exponent (n, B)."""
        found = [self._part(passed, columns) for passed in self._passed]
        if len(found) == 1:
            return found[0]
        matrices, exponents = zip(*found, strict=True)
        return self._space.xp.concatenate(matrices), self._space.xp.concatenate(exponents)

    def _part(self, passed: Passed, columns: tuple[int, ...]) -> tuple[Native, Native]:
        xp = self._space.xp
        if isinstance(passed, RowProduct):
            mantissa, exponent = beside([passed.columns[c] for c in columns]).aligned()
            return mantissa[None], exponent[None]
        parts = [passed.columns[c] for c in columns]
        mantissa = parts[0] if len(parts) == 1 else xp.concatenate(parts, -1)
        exponent = passed.exponent
        top = exponent[:, 0] if passed.even else xp.amax(exponent, -1)
        if not passed.even:
            mantissa = mantissa * power_of_two(exponent - top[:, None], mantissa)[..., None]
        return mantissa, xp.broadcast_to(top, mantissa.shape[:2])

    def _on(self, lags: Sequence[int], end: int) -> None:
        """By these lags and to lag `end`, with all rows where those that are kept do not do."""
        passed, rows = self._walk.past(self._rows, lags, end)
        if self._whole is not None and not self._trustworthy([*passed, rows]):
            passed, rows = self._walk.past(self._whole, lags, end)
            self._whole, self._next_look = None, 2 * end
        if lags and lags[0] == self._rows.lag:
            here = self._rows
            passed = [here if isinstance(here, RowProduct) else Stretch.of(here), *passed]
        self._passed, self._rows = [self._without_probes(each) for each in passed], rows
        if rows.lag >= self._next_look:
            self._look()

    def _without_probes(self, passed: Passed) -> Passed:
        if self._whole is None or isinstance(passed, RowProduct):
            return passed
        kept = self._kept(passed)
        columns = tuple(block[:, :, :kept] for block in passed.columns)
        return replace(
            passed, columns=columns, exponent=passed.exponent[:, :kept], squares=passed.squares[..., :kept]
        )

    def _kept(self, rows: Rows | Stretch) -> int:
        """How many of the rows are not probes."""
        return int(rows.columns[0].shape[-2]) - (PROBES if self._whole is not None else 0)

    def _squared_norms(self, rows: Rows | Stretch) -> tuple[list[Native], list[Native]]:
        """‖·‖_F² of the wanted columns and its share that the probes see, (…, B) each, at one exponent."""
        weight: Native = 1.0
        if not rows.even:
            top = self._space.xp.amax(rows.exponent, -1)[:, None]
            weight = power_of_two(2 * (rows.exponent - top), rows.columns[0])
        count, kept, seen = self._kept(rows), [], []
        for columns in self._wanted:
            total = rows.squares[columns[0]] if len(columns) == 1 else rows.squares[list(columns)].sum(0)
            total = total if rows.even else total * weight
            kept.append(total[..., :count].sum(-1))
            seen.append(total[..., count:].sum(-1) / PROBES)
        return kept, seen

    def _trustworthy(self, found: Sequence[Passed | Rows]) -> bool:
        """Whether what was left out is still nothing beside what is kept."""
        limit = _GIVE_UP[self._space.dtype] ** 2
        for rows in found:
            if isinstance(rows, RowProduct):
                return False
            kept, seen = self._squared_norms(rows)
            if not all(bool((s <= limit * k).all()) for k, s in zip(kept, seen, strict=True)):
                return False
        return True

    def _look(self) -> None:
        """Leave rows out, if there are enough that do not count, and say when to look again."""
        rows = self._rows
        later = MOST_PATIENCE
        if isinstance(rows, Rows) and self._kept(rows) > FEWEST_ROWS:
            fewer, later = self._reduced(rows)
            if self._whole is None and fewer is not rows:
                self._whole = rows
            self._rows = fewer
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
        balance = self._balance(matrix, allowed / _LEAVE_OUT[self._space.dtype])
        basis, later = self._basis(matrix * balance, allowed)
        if basis is None:
            return rows, later
        new = basis.swapaxes(1, 2) @ matrix
        random = self._gaussian(PROBES, kept)
        rest = random @ matrix - (random @ basis) @ new
        if not bool((((rest * balance) ** 2).sum((1, 2)) <= PROBES * allowed**2).all()):
            return rows, later
        noise = xp.sqrt((matrix**2).sum((1, 2)))[:, None, None] * _NOISE[self._space.dtype]
        seen = rest + noise * self._gaussian(PROBES, matrix.shape[2])
        parts = xp.concatenate([new, seen + probes if probes.shape[1] else seen], 1)
        size = rows.columns[0].shape[2]
        columns = tuple(parts[:, :, i * size : (i + 1) * size] * 1.0 for i in range(len(rows.columns)))
        return Rows.of(xp, rows.lag, columns, integer_zeros(parts.shape[:2], parts) + top, True), later

    def _balance(self, matrix: Native, norm: Native) -> Native:
        """What brings the columns of each state down to the norm (B,) of those that are asked for.

        A small part of one state's columns becomes, some steps on, about as small a part of another's.
        """
        xp, size = self._space.xp, self._walk.trajectory.hidden_size
        parts = [matrix[..., i : i + size] for i in range(0, matrix.shape[2], size)]
        own = xp.stack([xp.sqrt((part**2).sum((1, 2))) for part in parts], -1)
        factor = norm[:, None] / xp.maximum(own, norm[:, None])
        return xp.stack([factor] * size, -1).reshape(len(matrix), 1, matrix.shape[2])

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
