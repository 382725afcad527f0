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

RESAMPLES = 2000


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


def concordance(larger: ArrayLike, smaller: ArrayLike, stratum_1: ArrayLike, stratum_2: ArrayLike) -> Effect:
    """Of all pairs of one of either side within a stratum, the share in which the first side's is larger.

    A tie counts half: 1 tells the sides apart, ½ is chance.  The interval is the bootstrap's over the units
    of either side, drawn within their strata.

    Args:
        larger, smaller: (N,) and (M,) numbers, −inf among them.
        stratum_1, stratum_2: (N,) and (M,) labels.

    Raises:
        ValueError: no stratum has both sides.
    """
    sides = (np.asarray(larger, dtype=float), np.asarray(smaller, dtype=float))
    labels = (np.asarray(stratum_1, dtype=object), np.asarray(stratum_2, dtype=object))
    strata = [
        tuple(
            side[np.array([label == stratum for label in own], dtype=bool)]
            for side, own in zip(sides, labels, strict=True)
        )
        for stratum in dict.fromkeys(labels[0].tolist())
    ]
    strata = [(a, b) for a, b in strata if len(a) and len(b)]
    if not strata:
        raise ValueError("expected both sides in some stratum")
    rng = np.random.default_rng(0)
    drawn = [
        _concordance([(rng.choice(a, len(a)), rng.choice(b, len(b))) for a, b in strata])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    units = sum(len(a) + len(b) for a, b in strata)
    return Effect(_concordance(strata), float(low), float(high), units, "training")


def _concordance(strata: list[tuple[np.ndarray, np.ndarray]]) -> float:
    wins = pairs = 0.0
    for a, b in strata:
        above, equal = a[:, None] > b[None, :], a[:, None] == b[None, :]
        wins += float(above.sum() + 0.5 * equal.sum())
        pairs += above.size
    return wins / pairs
