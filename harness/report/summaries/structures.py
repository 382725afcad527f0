"""Structures: seconds and bytes of each, beside one layer of the same width and one of as many parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import Estimate, estimate
from harness.report.summaries.grouping import groups, has, in_order, rows_of
from harness.report.summaries.throughput import last_attempt

STUDY = "structures"
SINGLE = "1 layer"


@dataclass(frozen=True)
class Structures:
    """Args:
    frame: one row per setting, structure and backend: seconds, seconds_low, seconds_high, processes,
        unstable (how many of them), parameters, peak_bytes (NaN where it was not measured), relative_error
        (the largest); of seconds the ratio over one layer of the same width, over_single, and over one of as
        many parameters, over_equal (with _low and _high, from ratios within a replicate), equal_hidden_size
        (its H), equal_parameters; bytes_over_single, bytes_over_equal.  NaN where the other was not measured.
    axes: what makes a setting: every axis but structure and backend.
    """

    frame: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def structures(run: Run) -> Structures | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "phase", "seconds", "backend", "structure", "equal_hidden_size", "parameters"):
        return None
    cases = _processes(measured)
    if cases.empty:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis not in ("structure", "backend")]
    composed = set(cases.loc[cases["structure"] != SINGLE, "hidden_size"])
    shown = cases[
        (cases["structure"] != SINGLE) | cases["hidden_size"].isin(composed or cases["hidden_size"])
    ]
    rows = [
        {**setting, **_costs(part), **_ratios(part, setting, cases)}
        for setting, part in groups(shown, [*axes, "structure", "backend"])
    ]
    frame = in_order(pd.DataFrame(rows), [*axes, "structure", "backend"]).reset_index(drop=True)
    return Structures(frame, axes)


def _processes(measured: pd.DataFrame) -> pd.DataFrame:
    """One row per case: the median of its samples."""
    cases = measured.drop_duplicates("key").set_index("key", drop=False).drop(columns=["seconds"])
    samples = last_attempt(measured[measured["seconds"] > 0])
    cases["seconds"] = samples.groupby("key")["seconds"].median()
    for column in ("unstable", "peak_bytes"):
        if column not in cases:
            cases[column] = None
    cases["peak_bytes"] = cases["peak_bytes"].astype(float)
    return cases.dropna(subset=["seconds"]).reset_index(drop=True)


def _costs(part: pd.DataFrame) -> dict[str, Any]:
    seconds = estimate(part["seconds"].to_numpy(float))
    return {
        "seconds": seconds.value,
        "seconds_low": seconds.low,
        "seconds_high": seconds.high,
        "processes": seconds.processes,
        "unstable": int(part["unstable"].notna().sum()),
        "parameters": int(part["parameters"].iloc[0]),
        "equal_hidden_size": int(part["equal_hidden_size"].iloc[0]),
        "peak_bytes": float(part["peak_bytes"].median()),
        "relative_error": float(part["relative_error"].astype(float).max()),
    }


def _ratios(part: pd.DataFrame, setting: dict[str, Any], cases: pd.DataFrame) -> dict[str, Any]:
    wide = int(part["equal_hidden_size"].iloc[0])
    single = rows_of(cases, {**setting, "structure": SINGLE})
    equal = rows_of(cases, {**setting, "structure": SINGLE, "hidden_size": wide})
    time, plain = _ratio(part, equal), _ratio(part, single)
    return {
        "over_single": plain.value,
        "over_equal": time.value,
        "over_equal_low": time.low,
        "over_equal_high": time.high,
        "equal_parameters": float(equal["parameters"].iloc[0]) if len(equal) else np.nan,
        "bytes_over_single": _bytes(part) / _bytes(single),
        "bytes_over_equal": _bytes(part) / _bytes(equal),
    }


def _bytes(part: pd.DataFrame) -> float:
    """The median peak; NaN where there is none, or nothing was above the baseline."""
    found = float(part["peak_bytes"].median()) if len(part) else np.nan
    return found if found > 0 else np.nan


def _ratio(part: pd.DataFrame, other: pd.DataFrame) -> Estimate:
    """Of seconds, replicate by replicate: both ran in one process there."""
    both = part.merge(other, on="replicate", suffixes=("", "_other"))
    if both.empty:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    return estimate((both["seconds"] / both["seconds_other"]).to_numpy(float))
