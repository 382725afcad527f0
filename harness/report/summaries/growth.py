"""Growth: the exponents of time and memory in T, B and H, per backend and cell.

Time ∝ size^exponent, fitted on logarithms over at least three sizes; settings that differ in other sizes
share the exponent and have a factor each (:func:`harness.report.statistics.power_law`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import power_law
from harness.report.summaries.grouping import groups, in_order
from harness.report.summaries.memory import memory
from harness.report.summaries.throughput import throughput

SIZES = ("seq_len", "batch_size", "hidden_size")
MINIMUM_SIZES = 3
"""On two points every power law is exact."""
KNOWN = 0.5
"""Half of the widest interval with which an exponent is shown."""


@dataclass(frozen=True)
class Growth:
    """Args:
    exponents: one row per quantity ("time", "memory"), `size` axis, kind (what else makes a case, but
        sizes) and backend: exponent, low, high (95 % t-interval, NaN without a degree of freedom),
        points, settings, smallest, largest.
    kinds: the axes of a kind: cell, pass, dtype, …
    """

    exponents: pd.DataFrame
    kinds: list[str]


@lru_cache(maxsize=1)
def growth(run: Run) -> Growth | None:
    """The summary, or None where no axis has three sizes."""
    timed, held = throughput(run), memory(run)
    found: list[pd.DataFrame] = []
    kinds: list[str] = []
    if timed is not None:
        found.append(_exponents(timed.frame, timed.axes, "seconds").assign(quantity="time"))
        kinds += timed.axes
    if held is not None:
        axes = [*held.axes, "seq_len"]
        peaks = held.peaks[held.peaks["peak_bytes"] > 0]
        found.append(_exponents(peaks, axes, "peak_bytes").assign(quantity="memory"))
        kinds += axes
    found = [frame for frame in found if not frame.empty]
    if not found:
        return None
    kinds = [axis for axis in dict.fromkeys(kinds) if axis not in (*SIZES, "input_size")]
    exponents = pd.concat(found, ignore_index=True)
    return Growth(in_order(exponents, ["quantity", "size"]).reset_index(drop=True), kinds)


def hardly_known(exponents: pd.DataFrame) -> pd.Series:
    """Which exponents are known no better than to ± KNOWN; one without an interval is not among them."""
    return (exponents["high"] - exponents["low"]) / 2 > KNOWN


def _exponents(frame: pd.DataFrame, axes: Sequence[str], value: str) -> pd.DataFrame:
    kinds = [axis for axis in axes if axis not in (*SIZES, "input_size")]
    rows = []
    for size in SIZES:
        if size not in axes:
            continue
        others = [axis for axis in axes if axis not in (size, *kinds)]
        for kind, part in groups(frame, [*kinds, "backend"]):
            row = _fit(part, size, others, value)
            if row is not None:
                rows.append({"size": size, **kind, **row})
    return pd.DataFrame(rows)


def _fit(part: pd.DataFrame, size: str, others: list[str], value: str) -> dict[str, float] | None:
    """One exponent over every setting of the other sizes that has three of these."""
    series = [rows for _, rows in groups(part, others) if rows[size].nunique() >= MINIMUM_SIZES]
    if not series:
        return None
    points = pd.concat(series)
    members = np.repeat(np.arange(len(series)), [len(rows) for rows in series])
    law = power_law(points[size], points[value], members)
    if law is None:
        return None
    return {
        "exponent": law.exponent,
        "low": law.low,
        "high": law.high,
        "points": law.points,
        "settings": len(series),
        "smallest": float(points[size].min()),
        "largest": float(points[size].max()),
    }
