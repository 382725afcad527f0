"""Memory: the peak of one pass per backend and setting, and what one more step of T costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import line
from harness.report.summaries.grouping import groups, has, in_order, most

STUDY = "memory"


@dataclass(frozen=True)
class Memory:
    """Args:
    peaks: one row per setting, T and backend: peak_bytes (median over processes of each one's median),
        processes, method.
    slopes: one row per setting and backend: bytes_per_step by linear regression over T, its standard
        error (NaN for two points), the number of points, the largest T and the peak there.
    axes: what makes a setting: every axis but the backend and T.
    """

    peaks: pd.DataFrame
    slopes: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def memory(run: Run) -> Memory | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "peak_bytes", "backend", "seq_len"):
        return None
    measured = measured.dropna(subset=["peak_bytes"])
    if measured.empty:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis not in ("backend", "seq_len")]
    per_process = measured.groupby("key")["peak_bytes"].median()
    cases = measured.drop_duplicates("key").drop(columns="peak_bytes").set_index("key", drop=False)
    cases["peak_bytes"] = per_process
    peaks = pd.DataFrame(
        [
            {
                **setting,
                "peak_bytes": float(part["peak_bytes"].median()),
                "processes": len(part),
                "method": part["method"].iloc[0] if "method" in part else None,
            }
            for setting, part in groups(cases.reset_index(drop=True), [*axes, "backend", "seq_len"])
        ]
    )
    peaks = in_order(peaks, [*axes, "seq_len", "backend"]).reset_index(drop=True)
    slopes = pd.DataFrame(
        [{**setting, **_slope(part)} for setting, part in groups(peaks, [*axes, "backend"])]
    )
    return Memory(peaks, slopes, axes)


def _slope(part: pd.DataFrame) -> dict[str, float]:
    fit = line(part["seq_len"].to_numpy(float), part["peak_bytes"].to_numpy(float))
    longest = most(part, "seq_len")
    return {
        "bytes_per_step": fit.slope if fit else np.nan,
        "standard_error": fit.standard_error if fit else np.nan,
        "points": len(part),
        "longest_seq_len": int(longest["seq_len"]),
        "peak_bytes_at_longest": float(longest["peak_bytes"]),
    }
