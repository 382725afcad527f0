"""Throughput: seconds of one call per backend and setting, and the speed-up over a reference backend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import Estimate, distinguishable, estimate
from harness.report.summaries.grouping import groups, has, in_order

PREFERRED_REFERENCE = "torch"
"""What people know; where it was not measured, the slowest of the backends measured most often stands in."""

STUDY = "throughput"


@dataclass(frozen=True)
class Throughput:
    """Args:
    frame: one row per setting and backend.  seconds, seconds_low, seconds_high, processes,
        first_call_seconds, steps_per_second, flop_per_second, relative_error, num_threads; speedup,
        speedup_low, speedup_high, speedup_distinguishable against `reference`.
    axes: what makes a setting: every axis but the backend.
    reference: the backend that has speed-up 1.
    """

    frame: pd.DataFrame
    axes: list[str]
    reference: str | None


@lru_cache(maxsize=1)
def throughput(run: Run) -> Throughput | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "phase", "seconds", "backend"):
        return None
    cases = _processes(measured)
    if cases.empty:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "backend"]
    cases["setting"] = cases.groupby(axes, sort=False, dropna=False).ngroup() if axes else 0
    reference = _reference(cases)
    rows = []
    for setting, part in groups(cases, [*axes, "backend"]):
        rows.append({**setting, **_speed(part), **_speedup(part, cases, reference)})
    frame = in_order(pd.DataFrame(rows), [*axes, "backend"]).reset_index(drop=True)
    frame["speedup_distinguishable"] = distinguishable(frame.pop("speedup_p_value"))
    return Throughput(frame, axes, reference)


def _processes(measured: pd.DataFrame) -> pd.DataFrame:
    """One row per case (a case is measured in one process): the median of its samples, its first call."""
    timed = measured[measured["seconds"] > 0]
    cases = measured.drop_duplicates("key").set_index("key", drop=False)
    cases = cases.drop(columns=["seconds"])
    cases["seconds"] = timed[timed["phase"] == "sample"].groupby("key")["seconds"].median()
    cases["first_call_seconds"] = timed[timed["phase"] == "first_call"].groupby("key")["seconds"].first()
    return cases.dropna(subset=["seconds"]).reset_index(drop=True)


def _reference(cases: pd.DataFrame) -> str | None:
    if (cases["backend"] == PREFERRED_REFERENCE).any():
        return PREFERRED_REFERENCE
    if cases["backend"].nunique() < 2:
        return None
    seen = cases.groupby("backend")["setting"].nunique()
    often = cases[cases["backend"].isin(seen[seen == seen.max()].index)]
    return str(np.log(often["seconds"]).groupby(often["backend"]).mean().idxmax())


def _speed(part: pd.DataFrame) -> dict[str, object]:
    seconds = estimate(part["seconds"])
    work = {name: _common(part, name) for name in ("steps", "flop")}
    return {
        "seconds": seconds.value,
        "seconds_low": seconds.low,
        "seconds_high": seconds.high,
        "processes": seconds.processes,
        "first_call_seconds": float(part["first_call_seconds"].median()),
        "steps_per_second": work["steps"] / seconds.value,
        "steps_per_second_low": work["steps"] / seconds.high,
        "steps_per_second_high": work["steps"] / seconds.low,
        "flop_per_second": work["flop"] / seconds.value,
        "relative_error": float(part["relative_error"].max()) if "relative_error" in part else np.nan,
        "threads_in_force": _common(part, _threads_column(part)),
    }


def _threads_column(part: pd.DataFrame) -> str:
    return "fact_num_threads" if "fact_num_threads" in part else "num_threads"


def _common(part: pd.DataFrame, column: str) -> float:
    """The one value that the rows share; NaN where they have none, or differ."""
    values = set(part[column].dropna()) if column in part else set()
    return float(values.pop()) if len(values) == 1 else np.nan


def _speedup(part: pd.DataFrame, cases: pd.DataFrame, reference: str | None) -> dict[str, float]:
    """Seconds of the reference over seconds of this backend, within each replicate of the same setting."""
    here = (cases["backend"] == reference) & (cases["setting"] == part["setting"].iloc[0])
    paired = part.merge(cases[here][["replicate", "seconds"]], on="replicate", suffixes=("", "_reference"))
    if paired.empty:
        ratio = Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    else:
        ratio = estimate(paired["seconds_reference"] / paired["seconds"])
    return {
        "speedup": ratio.value,
        "speedup_low": ratio.low,
        "speedup_high": ratio.high,
        "speedup_p_value": ratio.p_value,
    }
