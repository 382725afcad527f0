"""Statistics, computed when the record is read.

The one idea: the process is the unit.  Samples within one process are condensed to their median; what
varies between processes (replicates) is judged by a t-interval on the logarithms of these medians; two
backends are compared by ratios within one block, where they ran next to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A geometric mean over processes with its confidence interval (NaN where there is one process only).

    `p_value` is that of the true value being 1: of use for ratios.
    """

    value: float
    low: float
    high: float
    p_value: float
    processes: int


def geometric_mean(values: ArrayLike) -> float:
    """exp(mean(log values)).

    Raises:
        ValueError: no values, or one that is not positive.
    """
    return float(np.exp(_logs(values).mean()))


def estimate(values: ArrayLike) -> Estimate:
    """Geometric mean of one positive value per process, and the t-interval on the logarithms.

    Raises:
        ValueError: no values, or one that is not positive.
    """
    logs = _logs(values)
    centre, n = float(logs.mean()), len(logs)
    if n < 2:
        return Estimate(float(np.exp(centre)), np.nan, np.nan, np.nan, n)
    error = float(logs.std(ddof=1) / np.sqrt(n))
    half = float(special.stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * error
    p_value = 2 * float(special.stdtr(n - 1, -abs(centre) / error)) if error else float(centre == 0)
    return Estimate(
        float(np.exp(centre)), float(np.exp(centre - half)), float(np.exp(centre + half)), p_value, n
    )


def distinguishable(p_values: ArrayLike) -> NDArray[np.bool_]:
    """Which of many comparisons differ from 1, at a false-discovery rate of 5 % over all of them.

    Benjamini and Hochberg (1995).  A comparison without a p-value (one process) is never among them.
    """
    p = np.asarray(p_values, dtype=float)
    found = np.zeros(p.shape, dtype=bool)
    known = ~np.isnan(p)
    if known.sum() == 1:  # nothing to correct
        found[known] = p[known] <= FALSE_DISCOVERY_RATE
    elif known.any():
        from scipy import stats  # half a second to import

        found[known] = stats.false_discovery_control(p[known]) <= FALSE_DISCOVERY_RATE
    return found


def median(values: ArrayLike) -> float:
    """Of the values that are known; of an even number the mean of the middle two, −inf where one of them is.
    NaN of none."""
    array = np.asarray(values, dtype=float)
    known = array[~np.isnan(array)]
    return float(np.median(known)) if known.size else np.nan


@dataclass(frozen=True)
class Curve:
    """Order statistics of many observations at each x, ascending."""

    x: Floats
    median: Floats
    low: Floats
    high: Floats


def curve(x: ArrayLike, values: ArrayLike, *, low: float = 0.1, high: float = 0.9) -> Curve:
    """Median and band over all observations at each x.

    Order statistics, never interpolated but for the median of an even number: −inf (an exact zero in log
    form) stays −inf.  NaN is left out.

    Args:
        x: (N,), values: (N,).
        low, high: the quantiles of the band, rounded outwards.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    known = ~np.isnan(ys)
    xs, ys = xs[known], ys[known]
    order = np.lexsort((ys, xs))
    xs, ys = xs[order], ys[order]
    distinct, starts, counts = np.unique(xs, return_index=True, return_counts=True)
    last = counts - 1

    def at(position: Any) -> Floats:
        return ys[starts + position.astype(int)]

    with np.errstate(invalid="ignore"):  # the mean of −inf and inf: no number
        median = (at(np.floor(last / 2)) + at(np.ceil(last / 2))) / 2
    return Curve(distinct, median, at(np.floor(low * last)), at(np.ceil(high * last)))


@dataclass(frozen=True)
class Line:
    """y = intercept + slope·x by least squares; `standard_error` of the slope is NaN for two points."""

    slope: float
    intercept: float
    standard_error: float


def line(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> Line | None:
    """A straight line through the points, or None where they have fewer than two different x."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(np.unique(xs)) < 2:
        return None
    from scipy import stats

    fit = stats.linregress(xs, ys)
    return Line(float(fit.slope), float(fit.intercept), float(fit.stderr) if len(xs) > 2 else np.nan)


@dataclass(frozen=True)
class PowerLaw:
    """y ∝ x^exponent, with the t-interval of the exponent (NaN where no degree of freedom is left)."""

    exponent: float
    low: float
    high: float
    points: int


def power_law(x: ArrayLike, y: ArrayLike, group: ArrayLike) -> PowerLaw | None:
    """One exponent for several groups of points, each with a factor of its own: log y = a_group + b·log x.

    The interval judges how well a power law describes the points, so each is to be one case (its mean over
    processes): processes repeat the same bend, they do not straighten it.

    Args:
        x: (N,) and y: (N,), positive; group: (N,), any labels.

    Returns:
        None where no group has two different x.
    """
    _, members = np.unique(np.asarray(group), return_inverse=True)
    xs, ys = _centred(_logs(x), members), _centred(_logs(y), members)
    spread = float(xs @ xs)
    if spread < 1e-12:
        return None
    slope = float(xs @ ys) / spread
    free = len(xs) - int(members.max()) - 2
    if free < 1:
        return PowerLaw(slope, np.nan, np.nan, len(xs))
    residual = ys - slope * xs
    error = float(np.sqrt(residual @ residual / free / spread))
    half = float(special.stdtrit(free, 0.5 + CONFIDENCE / 2)) * error
    return PowerLaw(slope, slope - half, slope + half, len(xs))


def _centred(values: Floats, members: NDArray[np.intp]) -> Floats:
    """Each value less the mean of its group."""
    return values - (np.bincount(members, values) / np.bincount(members))[members]


def _logs(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not (array > 0).all():
        raise ValueError(f"expected positive values, got {array.tolist()}")
    return np.log(array)
