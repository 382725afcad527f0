"""What of a run can be compared: per setting, one number for each process that measured it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.case import Case, Scalar
from harness.outcome import Failed, Measured, Unsupported
from harness.report.frames import Run
from harness.report.pairs import pair_ratios
from harness.report.summaries.grouping import has
from harness.report.summaries.throughput import by_replicate, throughput, why_invalid, why_no_pairs

TIME, MEMORY = "time", "memory"


@dataclass(frozen=True)
class Series:
    """Args:
    metric: TIME in seconds, or MEMORY in bytes.
    axes: the setting, the backend among them.
    values: replicate -> the median of what its process measured; with a peer, the median of its ratios to
        the peer's time in the same rounds.
    invalid: why nothing may be concluded from it, or None.
    num_threads: in force when it was measured; None where that was not recorded.
    """

    metric: str
    axes: Mapping[str, Scalar]
    values: Mapping[int, float]
    invalid: str | None = None
    num_threads: float | None = None


@dataclass(frozen=True)
class Measurements:
    """Args:
    series: by setting (a digest of study and axes).
    without: settings of which some process failed, or none gave a number -> the case, and why.
    """

    series: Mapping[str, Series]
    without: Mapping[str, tuple[Case, str]] = field(default_factory=dict)


def setting_of(case: Case) -> str:
    """A case's key without its replicate."""
    return Case(case.study, case.axes).key


def measurements(run: Run, *, relative_to: str | None = None) -> Measurements:
    """Everything comparable of a run: its times and its memory.

    Args:
        relative_to: a backend; the times of the others are then told as multiples of its own.
    """
    cases = {entry.case.key: entry.case for entry in run.entries}
    found: dict[str, Series] = {}
    timed = throughput(run)
    if timed is not None and relative_to is None:
        _collect(found, timed.processes.rename(columns={"seconds": "value"}), cases, TIME)
    elif timed is not None:
        for _, part in timed.processes.groupby("setting", sort=False):
            peer = part[part["backend"] == relative_to]
            for _, ours in part[part["backend"] != relative_to].groupby("backend", sort=False):
                _beside(found, ours, peer, cases)
    weighed = run.measured("memory")
    if has(weighed, "peak_bytes"):
        peaks = weighed.groupby("key")["peak_bytes"].median().rename("value")
        rows = weighed.drop_duplicates("key").merge(peaks, left_on="key", right_index=True)
        _collect(found, rows, cases, MEMORY)
    return Measurements(found, _without(run))


def _without(run: Run) -> dict[str, tuple[Case, str]]:
    settings = [(setting_of(entry.case), entry) for entry in run.entries]
    measured = {setting for setting, entry in settings if isinstance(entry.outcome, Measured)}
    found: dict[str, tuple[Case, str]] = {}
    for setting, entry in settings:
        match entry.outcome:
            case Failed(reason):
                found[setting] = entry.case, f"failed: {reason}"
            case Unsupported(reason) if setting not in measured:
                found.setdefault(setting, (entry.case, f"unsupported: {reason}"))
            case None if setting not in measured:
                found.setdefault(setting, (entry.case, "open: the run has not come to it"))
    return found


def _collect(found: dict[str, Series], rows: pd.DataFrame, cases: Mapping[str, Case], metric: str) -> None:
    rows = rows.assign(setting=[setting_of(cases[key]) for key in rows["key"]])
    for setting, part in rows.groupby("setting", sort=False):
        found[str(setting)] = Series(
            metric,
            cases[part["key"].iloc[0]].axes,
            dict(zip(part["replicate"].astype(int), part["value"].astype(float), strict=True)),
            why_invalid(part) if metric == TIME else None,
            _threads(part),
        )


def _beside(
    found: dict[str, Series], ours: pd.DataFrame, peer: pd.DataFrame, cases: Mapping[str, Case]
) -> None:
    """Times of one backend in one setting, as multiples of the peer's, where it was timed."""
    ratios = pair_ratios(by_replicate(ours), by_replicate(peer))
    if not ratios:
        return
    case = cases[ours["key"].iloc[0]]
    values = {int(str(replicate)): ratio for replicate, ratio in ratios.items()}
    found[setting_of(case)] = Series(TIME, case.axes, values, why_no_pairs(ours, peer), _threads(ours))


def _threads(part: pd.DataFrame) -> float | None:
    columns = [name for name in ("fact_num_threads", "num_threads") if name in part]
    values: set[Any] = set(part[columns[0]].dropna()) if columns else set()
    return float(values.pop()) if len(values) == 1 else None
