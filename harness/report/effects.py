"""Effects: a number with the interval that the units it was measured on give it.

The unit is whatever was drawn anew: a network (a seed), a training, a process.  An effect of one unit has no
interval, and is judged by its value alone, which is said wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from harness.report.statistics import CONFIDENCE
from harness.report.words import counted, significant


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

    def above(self, limit: float) -> bool:
        """Does all of it lie above?"""
        return (self.value if np.isnan(self.low) else self.low) > limit

    def below(self, limit: float) -> bool:
        """Does all of it lie below?"""
        return (self.value if np.isnan(self.high) else self.high) < limit

    def meets(self, low: float, high: float) -> bool:
        """Has it a point in common with [low, high]?"""
        return not self.above(high) and not self.below(low)

    def words(self, show: Callable[[float], str] = significant) -> str:
        """ "0.25 (95 % interval 0.2 to 0.3, 5 networks)"."""
        number = counted(self.units, self.unit, f"{self.unit}es" if self.unit.endswith("s") else None)
        if np.isnan(self.low):
            return f"{show(self.value)} ({number})"
        return f"{show(self.value)} (95 % interval {show(self.low)} to {show(self.high)}, {number})"


def exact(value: float, units: int = 1, unit: str = "network") -> Effect:
    """A number without a spread: a largest one, or one that nothing random entered."""
    return Effect(float(value), np.nan, np.nan, units, unit)


def mean(values: ArrayLike, unit: str = "network") -> Effect:
    """The mean and its t-interval.

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
    half = float(special.stdtrit(array.size - 1, 0.5 + CONFIDENCE / 2)) * error
    return Effect(centre, centre - half, centre + half, int(array.size), unit)


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


def first_alone(first: ArrayLike, second: ArrayLike) -> Effect:
    """Of the pairs whose sides differ, the share in which the first side has it: the sign test's.

    ½, and no interval, where no pair differs.

    Args:
        first, second: (N,) whether each side of each pair has it.
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    alone, unequal = int((one & ~other).sum()), int((one != other).sum())
    if not unequal:
        return exact(0.5, one.size, "equal pair")
    return share(alone, unequal, "unequal pair")
