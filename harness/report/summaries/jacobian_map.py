"""The map of ‖∂s_t/∂s_k‖ over t and k: medians, and how much the reach depends on where one looks from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import median
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order

STUDY = "jacobian_map"
NORM = "log10_spectral_norm"
SHOWN = ("cell", *VARIANT, "block", "inputs")
"""Axes that the figure shows; the others are shared."""


@dataclass(frozen=True)
class Maps:
    """Args:
    cells: one row per setting, t and k: log10_median over seeds and samples.
    settings: one row per setting.  Along the diagonal t − k = lag, nearest to a quarter of T: lag, places
        (how many anchors there are), log10_low, log10_high and log10_middle of the median norms over the
        anchors, t_low and t_high (where), and the norms of the longest lag, log10_longest.
    axes: the study's axes without the seed; `variant` names initialization, gain and forget bias in one.
    """

    cells: pd.DataFrame
    settings: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def maps(run: Run) -> Maps | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "t", "k", NORM, "cell", "initialization"):
        return None
    measured = measured.dropna(subset=[NORM])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    cells, settings = [], []
    for setting, part in groups(measured, axes):
        named = {**setting, "variant": variant(setting)}
        found = part.groupby(["t", "k"])[NORM].median()
        table = found.rename("log10_median").reset_index()
        cells.append(table.assign(**{name: [value] * len(table) for name, value in named.items()}))
        settings.append({**named, **_diagonal(table)})
    if not settings:
        return None
    return Maps(
        in_order(pd.concat(cells, ignore_index=True), [*axes, "t", "k"]).reset_index(drop=True),
        in_order(pd.DataFrame(settings), axes).reset_index(drop=True),
        axes,
    )


def _diagonal(table: pd.DataFrame) -> dict[str, Any]:
    """Along the lag near T/4 that has the most anchors on the grid."""
    lags = table["t"] - table["k"]
    near = np.abs(lags - table["t"].max() / 4)
    candidates = pd.DataFrame({"lag": lags, "near": near})
    candidates = candidates[candidates["near"] <= max(1.0, candidates["near"].min())]
    lag = int(candidates["lag"].mode().iloc[0])
    row = table[lags == lag].reset_index(drop=True)
    norms = row["log10_median"].to_numpy(float)
    longest = table[lags == lags.max()]["log10_median"].iloc[0]
    return {
        "lag": lag,
        "places": len(row),
        "log10_low": float(norms.min()),
        "log10_middle": median(norms),
        "log10_high": float(norms.max()),
        "t_low": int(row["t"].iloc[int(norms.argmin())]),
        "t_high": int(row["t"].iloc[int(norms.argmax())]),
        "longest_lag": int(lags.max()),
        "log10_longest": float(longest),
    }
