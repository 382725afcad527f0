"""Gradient decay: median and band of log10 ‖∂s_t/∂s_k‖₂ over lags, and how far the gradient reaches.

*Reach* is the number of steps before the median norm first falls below one percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import Curve, curve, line
from harness.report.summaries.grouping import Setting, groups, has, matches, most_populated
from harness.report.summaries.rates import horizon_of
from harness.report.words import missing, plain, setting

STUDY = "gradient_decay"
NORM = "log10_spectral_norm"
BOUND = "log10_bound"
FAINT = -2.0
"""log10 of the norm below which a gradient no longer counts as arriving: one percent."""
GROWN = 2.0
"""log10 of the norm above which it counts as exploding: a hundredfold."""

VARIANT = ("initialization", "gain", "forget_bias")


@dataclass(frozen=True)
class Decay:
    """One curve: a cell under one initialization, over all seeds and samples.

    Args:
        setting: every axis but the seed.
        block: hh, hc, ch, cc or ss.
        curve: of log10 of the spectral norm.
        bound: median of log10 of the bound (β_W β_h)^lag, or None where the cell has none.
        observations: seeds × samples at each lag.
        seeds: how many seeds; None where there is no saying.
        zeros: how many of the observations at the largest lag are exactly zero.
    """

    setting: Setting
    block: str
    curve: Curve
    bound: Curve | None
    observations: int
    seeds: int | None = None
    zeros: int = 0

    @property
    def reach(self) -> float | None:
        """The largest lag before the median first falls below one percent; None where it never does."""
        faint = np.flatnonzero(self.curve.median < FAINT)
        if not len(faint):
            return None
        return float(self.curve.x[faint[0] - 1]) if faint[0] else 0.0

    @property
    def horizon(self) -> float | None:
        """The lag from which on the median stays at or below one percent, interpolated as in the section on
        rates; where it comes back up, the reach."""
        found = horizon_of(self.curve.x, self.curve.median)
        return self.reach if found is None else found

    @property
    def last(self) -> tuple[float, float]:
        """The largest lag and log10 of the median norm there."""
        return float(self.curve.x[-1]), float(self.curve.median[-1])

    def to_frame(self) -> pd.DataFrame:
        """Lag, median, band and bound, all but the lag as log10."""
        return pd.DataFrame(
            {
                "lag": self.curve.x.astype(int),
                "log10_median": self.curve.median,
                "log10_low": self.curve.low,
                "log10_high": self.curve.high,
                "log10_bound": self._bound_at_lags(),
            }
        )

    def _bound_at_lags(self) -> Any:
        if self.bound is None:
            return np.full(len(self.curve.x), np.nan)
        return pd.Series(self.bound.median, index=self.bound.x).reindex(self.curve.x).to_numpy()

    @property
    def nats_per_step(self) -> float:
        """Slope of the natural log of the median norm over the second half of the lags; NaN if unknown."""
        later = (self.curve.x >= self.curve.x[-1] / 2) & np.isfinite(self.curve.median)
        fit = line(self.curve.x[later], self.curve.median[later] * np.log(10))
        return fit.slope if fit else float("nan")


@dataclass(frozen=True)
class Decays:
    """Every curve of the run, and the study's axes without the seed."""

    curves: tuple[Decay, ...]
    axes: list[str]


def norms(run: Run) -> pd.DataFrame | None:
    """The rows that hold a norm, each with its block; None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", NORM, "cell", "initialization"):
        return None
    if "block" not in measured:
        measured = measured.assign(block="hh")
    return measured.dropna(subset=["lag", NORM])


@lru_cache(maxsize=1)
def decays(run: Run) -> Decays | None:
    """Every curve, or None where nothing was measured."""
    measured = norms(run)
    if measured is None:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    found = []
    for values, part in groups(measured, [*axes, "block"]):
        block = str(values.pop("block"))
        whole = curve(part["lag"], part[NORM])
        last = part.loc[part["lag"] == part["lag"].max(), NORM]
        seeds = part["key"].nunique()
        found.append(
            Decay(values, block, whole, _bound(part), _per_lag(part), seeds, int(np.isneginf(last).sum()))
        )
    return Decays(tuple(found), axes) if found else None


def _bound(part: pd.DataFrame) -> Curve | None:
    if BOUND not in part or part[BOUND].isna().all():
        return None
    return curve(part["lag"], part[BOUND])


def _per_lag(part: pd.DataFrame) -> int:
    return int(part.groupby("lag").size().max())


def common_slice(found: Decays, varying: Sequence[str]) -> tuple[list[Decay], str, int]:
    """The curves that share one value of every axis but `varying`: those of the most networks.

    Returns:
        The curves, the shared values in words, and how many other slices there are.
    """
    fixed = [axis for axis in found.axes if axis not in varying]
    settings = pd.DataFrame([decay.setting for decay in found.curves], columns=found.axes)
    settings = settings.drop_duplicates()  # a network with more blocks counts no more than another
    (chosen,), others = most_populated(settings, fixed, limit=1)
    curves = [decay for decay in found.curves if matches(decay.setting, chosen)]
    return curves, setting({axis: v for axis, v in chosen.items() if axis != "backend"}), others


def variant(axes: Mapping[str, Any], *, forget_bias: bool = True) -> str:
    """An initialization with its options: "gaussian, gain 1.5", "orthogonal, forget bias 1"."""
    words = [str(axes["initialization"])]
    gain = axes.get("gain")
    if not missing(gain) and gain != 1:
        words.append(f"gain {plain(gain)}")
    if forget_bias and not missing(axes.get("forget_bias")):
        words.append(f"forget bias {plain(axes['forget_bias'])}")
    return ", ".join(words)


def cell_words(axes: Mapping[str, Any]) -> str:
    """A cell with its forget bias, where it has one: "lstm, forget bias 1"."""
    bias = axes.get("forget_bias")
    return str(axes["cell"]) + ("" if missing(bias) else f", forget bias {plain(bias)}")


def to_frame(found: Sequence[Decay]) -> pd.DataFrame:
    """The curves as tidy rows, with their settings: what a figure of them shows."""
    parts = []
    for decay in found:
        frame = decay.to_frame()
        for position, (axis, value) in enumerate({**decay.setting, "block": decay.block}.items()):
            frame.insert(position, axis, value)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
