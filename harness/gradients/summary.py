"""What a decay curve says in numbers that people act on: rate, half-life, horizon, and a verdict.

The one idea: a rate is the slope of ln‖∂s_t/∂s_k‖ against the lag, fitted to each seed alone, and what varies
between seeds gives its interval.  The verdict asks two things: whether that interval as a whole lies on one
side of zero, and whether the norm really changed a hundredfold within the lags that were observed.  A norm
that did not is stable; where it did, and the rate is not on the same side, nothing is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

LN10 = float(np.log(10.0))
CONFIDENCE = 0.95
ONE_PERCENT, ONE_PER_MILLE = -2.0, -3.0
"""log10 of the norms that the horizons are for."""
ROUNDING = 1e-12
"""Rates below it in size are sums of rounding errors."""
VERDICTS = ("vanishing", "stable", "exploding", "undecided")
HUNDREDFOLD = 2.0
"""log10 of the median norm at the longest lag from which on it counts as exploding."""


@dataclass(frozen=True)
class DecaySummary:
    """How far a gradient reaches.

    Args:
        rate: nats per step, mean over seeds, 0 where it is but rounding; −inf where every norm beyond lag 0
            is exactly zero; NaN where there is nothing to fit.
        rate_low, rate_high: the 95 % t-interval over seeds; NaN where there is one seed alone.
        half_life: steps in which the norm halves at that rate; None where it does not fall.
        horizon_1_percent, horizon_1_per_mille: the lag from which on the median norm stays at or below 0.01
            and 0.001, interpolated between lags on the logarithm; None ("beyond T") where it does not.
        longest_lag: T of that, the largest lag observed.
        zero_from: the lag from which on the median norm is exactly zero; None where it never is.
        lags: (L,).
        log10_typical: (L,), E log10 over seeds and samples; −inf where one of them is an exact zero.
        log10_annealed: (L,), log10 E: above the typical mean wherever a few samples carry the average.
        zeros, observed: how many norms at the longest lag are exactly zero, as those of dead ReLUs are, and
            of how many: where the median is none of them, the rate is of the others alone.
        seeds: how many the rate is averaged over.
        verdict: one of VERDICTS.
        rule: in words, why.
    """

    rate: float
    rate_low: float
    rate_high: float
    half_life: float | None
    horizon_1_percent: float | None
    horizon_1_per_mille: float | None
    longest_lag: int
    zero_from: int | None
    lags: Array
    log10_typical: Array
    log10_annealed: Array
    zeros: int
    observed: int
    seeds: int
    verdict: str
    rule: str


def summarize_decay(lags: ArrayLike, log10_norms: ArrayLike) -> DecaySummary:
    """The summary of decay curves.

    Args:
        lags: (L,) increasing.
        log10_norms: (L,), (L, samples) or (L, samples, seeds): −inf for an exact zero, NaN where a sample
            was not observed at that lag.  For one given network its samples are the independent
            repetitions: give them as the last axis, (L, 1, samples).

    The slope of each seed is the mean over its samples of least-squares lines through the finite points,
    each weighted by the stretch of lags that it stands for, so that log-spaced lags give what all lags
    would.

    Raises:
        ValueError: shapes that do not fit, no lags, lags that do not increase, +inf.
    """
    x, y = _checked(lags, log10_norms)
    slopes = _slopes(x, y)
    flat = y.reshape(len(x), -1)
    median = np.array([_median(row) for row in flat])
    rate, low, high = (0.0 if abs(value) <= ROUNDING else value for value in _interval(slopes))
    zero_from = _stays_below(x, median, -np.inf)
    if np.isnan(rate) and zero_from is not None:
        rate = -np.inf
    horizon = _stays_below(x, median, ONE_PERCENT)
    verdict, rule = _verdict((rate, low, high), horizon, zero_from, int(x[-1]), float(median[-1]))
    zeros, observed = int(np.isneginf(flat[-1]).sum()), int((~np.isnan(flat[-1])).sum())
    if zeros and verdict != "vanishing":
        rule += f", where {zeros} of {observed} norms are exactly zero"
    return DecaySummary(
        rate=rate,
        rate_low=low,
        rate_high=high,
        half_life=_half_life(rate),
        horizon_1_percent=horizon,
        horizon_1_per_mille=_stays_below(x, median, ONE_PER_MILLE),
        longest_lag=int(x[-1]),
        zero_from=None if zero_from is None else int(zero_from),
        lags=x.astype(np.int64),
        log10_typical=_over_samples(flat, _mean),
        log10_annealed=_over_samples(flat, _log10_mean),
        zeros=zeros,
        observed=observed,
        seeds=y.shape[2],
        verdict=verdict,
        rule=rule,
    )


def _checked(lags: ArrayLike, log10_norms: ArrayLike) -> tuple[Array, Array]:
    """Lags (L,) and norms (L, samples, seeds), lags at which nothing was observed left out."""
    x, y = np.asarray(lags, dtype=np.float64), np.asarray(log10_norms, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"lags must be (L,) with L >= 1, got shape {x.shape}")
    if not 1 <= y.ndim <= 3 or len(y) != len(x) or y.size == 0:
        raise ValueError(
            f"log10_norms must be (L,), (L, samples) or (L, samples, seeds) with L = {len(x)}, got {y.shape}"
        )
    if (np.diff(x) <= 0).any() or not np.isfinite(x).all():
        raise ValueError("lags must increase and be finite")
    if np.isposinf(y).any():
        raise ValueError("log10_norms must not hold +inf: a norm is finite, and an exact zero is −inf")
    y = y.reshape(len(x), *y.shape[1:], *[1] * (3 - y.ndim))
    seen = ~np.isnan(y).all(axis=(1, 2))
    if not seen.any():
        raise ValueError("log10_norms must hold at least one number, got NaN alone")
    return x[seen], y[seen]


def _slopes(x: Array, y: Array) -> Array:
    """One slope per seed in nats per step; NaN for a seed without two finite points in any sample."""
    weights = np.gradient(x) if len(x) > 1 else np.ones(1)
    found = np.full(y.shape[1:], np.nan)
    for index in np.ndindex(*y.shape[1:]):
        curve = y[(slice(None), *index)]
        finite = np.isfinite(curve)
        if finite.sum() >= 2:
            found[index] = _slope(x[finite], curve[finite] * LN10, weights[finite])
    return np.array([_mean(seed[~np.isnan(seed)]) for seed in found.T])


def _slope(x: Array, y: Array, weights: Array) -> float:
    centred = x - np.average(x, weights=weights)
    return float(np.sum(weights * centred * y) / np.sum(weights * centred**2))


def _interval(slopes: Array) -> tuple[float, float, float]:
    """Mean and 95 % t-interval over seeds."""
    slopes = slopes[~np.isnan(slopes)]
    if len(slopes) < 2:
        return (float(slopes[0]) if len(slopes) else np.nan), np.nan, np.nan
    from scipy.special import stdtrit  # Student's t; scipy.stats takes a second to import

    centre = float(slopes.mean())
    quantile = float(stdtrit(len(slopes) - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * float(slopes.std(ddof=1)) / np.sqrt(len(slopes))
    return centre, centre - half, centre + half


def _half_life(rate: float) -> float | None:
    if not rate < 0:
        return None
    return 0.0 if np.isinf(rate) else float(np.log(2.0) / -rate)


def _stays_below(x: Array, curve: Array, level: float) -> float | None:
    """The lag from which on the curve stays at or below `level`; None where its end lies above."""
    above = np.flatnonzero(curve > level)
    if not len(above):
        return float(x[0])
    last = int(above[-1])
    if last == len(x) - 1:
        return None
    start, end = curve[last], curve[last + 1]
    if np.isinf(end):  # no line to an exact zero
        return float(x[last + 1])
    return float(x[last] + (x[last + 1] - x[last]) * (start - level) / (start - end))


def _verdict(
    rate: tuple[float, float, float], horizon: float | None, zero_from: float | None, longest: int, end: float
) -> tuple[str, str]:
    """The verdict and its reason; `end` is log10 of the median norm at the longest lag."""
    if zero_from is not None:
        return "vanishing", f"the median norm is exactly zero from lag {int(zero_from)} on"
    centre, low, high = rate
    if np.isnan(centre):
        told = "there are not two lags with a norm above zero, so that no rate could be fitted"
        return _undecided(told, horizon, end, longest) or ("stable", told)
    if centre == low == high == 0.0:
        subject = "the rate is 0 but for rounding"
    elif np.isnan(low):
        subject = f"the rate, {_number(centre)} nats per step (one seed, no interval),"
        low = high = centre
    else:
        subject = f"the rate's 95 % interval, {_number(low)} to {_number(high)} nats per step,"
    if high < 0 and horizon is not None:
        return (
            "vanishing",
            f"{subject} lies below 0, and the median norm stays at or below 1 % from lag {horizon:.3g} on",
        )
    if low > 0 and end >= HUNDREDFOLD:
        return "exploding", f"{subject} lies above 0, and the median norm is 100 or more at lag {longest}"
    where = "below 0" if high < 0 else "above 0" if low > 0 else "on both sides of 0"
    told = subject if centre == low == high == 0.0 else f"{subject} lies {where}"
    unchanged = f"{told}, and the median norm has not changed a hundredfold by lag {longest}"
    return _undecided(told, horizon, end, longest) or ("stable", unchanged)


def _undecided(told: str, horizon: float | None, end: float, longest: int) -> tuple[str, str] | None:
    """Where the norm changed a hundredfold and the rate, of which `told` speaks, does not bear it out."""
    if horizon is not None:
        return "undecided", f"{told}, yet the median norm stays at or below 1 % from lag {horizon:.3g} on"
    if end >= HUNDREDFOLD:
        return "undecided", f"{told}, yet the median norm is 100 or more at lag {longest}"
    return None


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _over_samples(flat: Array, of: Any) -> Array:
    return np.array([of(row[~np.isnan(row)]) for row in flat])


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Array) -> float:
    """Of the values that are there; of an even number the mean of the middle two, −inf where one is."""
    ordered = np.sort(values[~np.isnan(values)])
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)


def _log10_mean(values: Array) -> float:
    """log10 of the mean of 10**values, in logarithms."""
    top = float(values.max())
    return top if np.isinf(top) else top + float(np.log10(np.mean(10.0 ** (values - top))))
