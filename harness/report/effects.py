"""Effects: a number with the interval that the units it was measured on give it.

The unit is whatever was drawn anew: a network (a seed), a training, a process.  An effect of one unit has no
interval, and is judged by its value alone, which is said wherever it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from harness.report.statistics import CONFIDENCE, distinguishable
from harness.report.words import counted, significant

MOST_WAYS, DEALS = 20_000, 20_000
"""So many ways are counted at the most, and so many deals are drawn where there are more."""


@dataclass(frozen=True)
class Effect:
    """Args:
    value: the mean, ratio or share.
    low, high: its 95 % interval; NaN where one unit gives none, or where the number is exact.
    units: how many it rests on.
    unit: what they are, in the singular.
    """

    value: float
    low: float
    high: float
    units: int
    unit: str = "network"

    @property
    def ends(self) -> tuple[float, float]:
        """The interval; without one, the value itself."""
        return (self.value, self.value) if np.isnan(self.low) else (self.low, self.high)

    def above(self, limit: float) -> bool | None:
        """Does all of it lie above?  None where it lies on both sides."""
        low, high = self.ends
        return True if low > limit else False if high <= limit else None

    def below(self, limit: float) -> bool | None:
        """Does all of it lie below?  None where it lies on both sides."""
        low, high = self.ends
        return True if high < limit else False if low >= limit else None

    def within(self, low: float, high: float) -> bool | None:
        """Does all of it lie in [low, high]?  None where a part does."""
        least, most = self.ends
        return True if low <= least and most <= high else False if most < low or high < least else None

    def is_about(self, value: float, low: float, high: float) -> bool | None:
        """Is it about `value`, for practical purposes: within the margin from `low` to `high`?

        True where the whole interval lies in the margin, however surely it leaves out `value` itself
        (equivalence).  False where it leaves out `value` and has its centre outside the margin: a difference
        that is certain, and likelier to matter than not.  None otherwise.
        """
        least, most = self.ends
        if low <= least and most <= high:
            return True
        certain = not least <= value <= most
        return False if certain and not low <= self.value <= high else None

    def words(self, show: Callable[[float], str] = significant) -> str:
        """ "0.25 (95 % interval 0.2 to 0.3, 5 networks)"."""
        number = counted(self.units, self.unit, f"{self.unit}es" if self.unit.endswith("s") else None)
        if np.isnan(self.low):
            return f"{show(self.value)} ({number})"
        return f"{show(self.value)} (95 % interval {show(self.low)} to {show(self.high)}, {number})"


def exact(value: float, units: int = 1, unit: str = "network") -> Effect:
    """A number without a spread: a largest one, or one that nothing random entered."""
    return Effect(float(value), np.nan, np.nan, units, unit)


def mean(values: ArrayLike, unit: str = "network", *, of: int = 1) -> Effect:
    """The mean and its t-interval.

    Args:
        of: from how many means this one was chosen for being the largest; the interval then holds for all of
            them at once (Bonferroni).

    Raises:
        ValueError: no values.
    """
    array = np.asarray(values, dtype=float)
    if not array.size:
        raise ValueError("expected at least one value, got none")
    centre = float(array.mean())
    if array.size < 2:
        return Effect(centre, np.nan, np.nan, 1, unit)
    error = float(array.std(ddof=1) / np.sqrt(array.size))
    half = float(special.stdtrit(array.size - 1, 1 - (1 - CONFIDENCE) / 2 / of)) * error
    return Effect(centre, centre - half, centre + half, int(array.size), unit)


def differing(samples: Iterable[ArrayLike]) -> list[bool]:
    """Which of many means differ from 0, at a false-discovery rate of 5 % over all of them (t-tests).

    One value alone never does.
    """
    return [bool(found) for found in distinguishable([_p_of_zero(values) for values in samples])]


def _p_of_zero(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=float)
    if array.size < 2:
        return np.nan
    centre, error = float(array.mean()), float(array.std(ddof=1) / np.sqrt(array.size))
    if not error:
        return float(centre == 0)
    return 2 * float(special.stdtr(array.size - 1, -abs(centre) / error))


def ratio(values: ArrayLike, unit: str = "network") -> Effect:
    """The geometric mean of ratios, with the t-interval on their logarithms."""
    found = mean(np.log(np.asarray(values, dtype=float)), unit)
    value, low, high = (float(np.exp(end)) for end in (found.value, found.low, found.high))
    return Effect(value, low, high, found.units, unit)


def share(number: int, of: int, unit: str = "training") -> Effect:
    """A share, with Clopper and Pearson's exact interval.

    Raises:
        ValueError: of none.
    """
    if not of:
        raise ValueError("a share of nothing")
    found = stats.binomtest(number, of).proportion_ci(CONFIDENCE, method="exact")
    return Effect(number / of, float(found.low), float(found.high), of, unit)


def share_more(first: tuple[int, int], second: tuple[int, int], unit: str = "training") -> Effect:
    """A share less another, with Newcombe's interval (1998, method 10: Wilson's of both, put together).

    Args:
        first, second: (number, of).

    Raises:
        ValueError: a share of none.
    """
    if not first[1] or not second[1]:
        raise ValueError("a share of nothing")
    (one, low_1, high_1), (other, low_2, high_2) = (_wilson(*counts) for counts in (first, second))
    difference = one - other
    low = difference - float(np.hypot(one - low_1, high_2 - other))
    high = difference + float(np.hypot(high_1 - one, other - low_2))
    return Effect(difference, low, high, first[1] + second[1], unit)


def _wilson(number: int, of: int) -> tuple[float, float, float]:
    found = stats.binomtest(number, of).proportion_ci(CONFIDENCE, method="wilson")
    return number / of, float(found.low), float(found.high)


def p_of_equal_shares(counts: Sequence[tuple[int, int]]) -> float:
    """How likely shares that are the same everywhere are to differ by this much or more.

    Of all ways to deal the same successes out over the groups, those whose χ² is not smaller: exact, and
    Fisher's test where there are two groups of one size.  With these margins χ² grows with Σ numberᵢ²/ofᵢ,
    so that this sum is what is counted, in whole numbers.

    Where many groups of many sizes have too many ways to be counted, a share of DEALS drawn ones instead.

    Args:
        counts: (number, of) of each group.
    """
    common = math.lcm(*(of for _, of in counts))
    total = sum(number for number, _ in counts)
    observed = sum(number * number * (common // of) for number, of in counts)
    ways = {(0, 0): 1}
    for _, of in counts:
        longer: dict[tuple[int, int], int] = {}
        for (successes, spread), number in ways.items():
            for own in range(min(of, total - successes) + 1):
                at = (successes + own, spread + own * own * (common // of))
                longer[at] = longer.get(at, 0) + number * math.comb(of, own)
        ways = longer
        if len(ways) > MOST_WAYS:
            return _drawn_p(counts, total)
    as_far = sum(ways[at] for at in ways if at[0] == total and at[1] >= observed)
    return as_far / math.comb(sum(of for _, of in counts), total)


def _drawn_p(counts: Sequence[tuple[int, int]], total: int) -> float:
    """The same by chance: of deals that are drawn, and the one that was found, those as far apart."""
    numbers, sizes = (np.array(column, dtype=np.int64) for column in zip(*counts, strict=True))
    deals = np.random.default_rng(0).multivariate_hypergeometric(sizes, total, size=DEALS)
    spreads = (deals**2 / sizes).sum(axis=1)
    as_far = int((spreads >= (numbers**2 / sizes).sum() * (1.0 - 1e-12)).sum())
    return (1 + as_far) / (1 + DEALS)


def first_alone(first: ArrayLike, second: ArrayLike) -> Effect:
    """Of the pairs whose sides differ, the share in which the first side has it: the sign test's.

    ½, and anything possible, where no pair differs.

    Args:
        first, second: (N,) whether each side of each pair has it.
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    alone, unequal = int((one & ~other).sum()), int((one != other).sum())
    if not unequal:
        return Effect(0.5, 0.0, 1.0, one.size, "equal pair")
    return share(alone, unequal, "unequal pair")
