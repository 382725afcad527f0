"""Throughput: seconds of one call per backend and setting, and the speed-up over a reference backend.

The process is the unit: of each, the median of the samples of its last attempt, the first that nothing
disturbed (or the last that there was time for).  Speed-ups are ratios within one replicate, and there within
each round, where both backends took turns (see `harness.report.pairs`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.pairs import Process, in_turn
from harness.report.statistics import Estimate, estimate
from harness.report.summaries.grouping import groups, has, in_order, records
from harness.report.verdicts import Comparison, judge, paired_ratio
from harness.report.words import counted

PREFERRED_REFERENCE = "torch"
"""What people know; where it was not measured, the slowest of the backends measured most often stands in."""

STUDY = "throughput"

CANCELLED = ("drift", "spread")
"""Kinds of disturbance that are of the samples alone, and cancel between backends that took turns."""

COMPILATION = ("compile_seconds", "pieces_compiled", "pieces_loaded")
"""What was compiled for a case, or loaded from disk, in its process: the most in any of them."""


@dataclass(frozen=True)
class Throughput:
    """Args:
    frame: one row per setting and backend.  seconds, seconds_low, seconds_high, processes, unstable
        (how many of them), first_call_seconds, compile_seconds, pieces_compiled, pieces_loaded (NaN where
        the backend cannot tell), steps_per_second, flop_per_second, relative_error, threads_in_force;
        speedup, speedup_low, speedup_high, verdict and verdict_reason against `reference` (see
        `harness.report.verdicts`; judged over the whole frame).
    axes: what makes a setting: every axis but the backend.
    reference: the backend that has speed-up 1.
    processes: one row per case: axes, backend, replicate, seconds (the median of its samples),
        first_call_seconds, unstable (what disturbed it, or None), attempts, process (a `Process`).
    """

    frame: pd.DataFrame
    axes: list[str]
    reference: str | None
    processes: pd.DataFrame


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
    rows, comparisons = [], []
    for setting, part in groups(cases, [*axes, "backend"]):
        comparison = _comparison(part, cases, reference)
        comparisons.append(comparison)
        rows.append({**setting, **_speed(part), **_speedup(comparison.ratio)})
    frame = pd.DataFrame(rows)
    judged = (frame["backend"] != reference) & frame["speedup"].notna()
    verdicts = judge([c for c, chosen in zip(comparisons, judged, strict=True) if chosen])
    for column, words in (
        ("verdict", [verdict.word for verdict in verdicts]),
        ("verdict_reason", [verdict.reason for verdict in verdicts]),
    ):
        frame[column] = pd.Series(words, index=frame.index[judged], dtype=object)
    frame = in_order(frame, [*axes, "backend"]).reset_index(drop=True)
    return Throughput(frame, axes, reference, cases)


def _processes(measured: pd.DataFrame) -> pd.DataFrame:
    """One row per case (a case is measured in one process): the median of its samples, its first call."""
    timed = measured[measured["seconds"] > 0]
    cases = measured.drop_duplicates("key").set_index("key", drop=False)
    cases = cases.drop(columns=["seconds"])
    cases["seconds"] = last_attempt(timed).groupby("key")["seconds"].median()
    rounds = _rounds(last_attempt(timed))
    known = zip(cases["key"], cases["seconds"], strict=True)
    processes = [Process(seconds, rounds.get(key, {})) for key, seconds in known]
    cases["process"] = pd.Series(processes, index=cases.index, dtype=object)
    cases["first_call_seconds"] = timed[timed["phase"] == "first_call"].groupby("key")["seconds"].first()
    for column, absent in (("unstable", None), ("attempts", 1)):
        if column not in cases:
            cases[column] = absent
    return cases.dropna(subset=["seconds"]).reset_index(drop=True)


def _rounds(samples: pd.DataFrame) -> dict[str, dict[Hashable, float]]:
    """Key -> the median of each round that was taken in turn with others.  The name of a round holds who took
    turns and which attempt it was: those of another time are other rounds."""
    if not has(samples, "round", "together") or samples["together"].isna().all():
        return {}
    names = ["key", "together", "attempt", "round"]
    medians = samples.dropna(subset=["together", "round"]).groupby(names)["seconds"].median()
    found: dict[str, dict[Hashable, float]] = {}
    for row in records(medians.reset_index()):
        name = (row["together"], row["attempt"], row["round"])
        found.setdefault(row["key"], {})[name] = row["seconds"]
    return found


def last_attempt(timed: pd.DataFrame) -> pd.DataFrame:
    """The samples that are read: of each case those of its last attempt.  All are kept in the record."""
    samples = timed[timed["phase"] == "sample"]
    if "attempt" not in samples:
        return samples
    return samples[samples["attempt"] == samples.groupby("key")["attempt"].transform("max")]


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
        "unstable": int(part["unstable"].notna().sum()),
        "first_call_seconds": float(part["first_call_seconds"].median()),
        **{name: _most(part, name) for name in COMPILATION},
        "steps_per_second": work["steps"] / seconds.value,
        "steps_per_second_low": work["steps"] / seconds.high,
        "steps_per_second_high": work["steps"] / seconds.low,
        "flop_per_second": work["flop"] / seconds.value,
        "relative_error": float(part["relative_error"].max()) if "relative_error" in part else np.nan,
        "threads_in_force": _common(part, _threads_column(part)),
    }


def _most(part: pd.DataFrame, column: str) -> float:
    """The largest value of any process; NaN where none is known."""
    return float(part[column].astype(float).max()) if column in part else np.nan


def _threads_column(part: pd.DataFrame) -> str:
    return "fact_num_threads" if "fact_num_threads" in part else "num_threads"


def _common(part: pd.DataFrame, column: str) -> float:
    """The one value that the rows share; NaN where they have none, or differ."""
    values = set(part[column].dropna()) if column in part else set()
    return float(values.pop()) if len(values) == 1 else np.nan


def _comparison(part: pd.DataFrame, cases: pd.DataFrame, reference: str | None) -> Comparison:
    """Seconds of the reference over seconds of this backend, within each replicate of the same setting."""
    here = (cases["backend"] == reference) & (cases["setting"] == part["setting"].iloc[0])
    ratio = paired_ratio(by_replicate(cases[here]), by_replicate(part))
    return Comparison(ratio, why_no_pairs(part, cases[here]))


def by_replicate(cases: pd.DataFrame) -> dict[Hashable, Process]:
    """Replicate -> what its process took."""
    return dict(zip(cases["replicate"], cases["process"], strict=True))


def why_no_pairs(ours: pd.DataFrame, theirs: pd.DataFrame) -> str | None:
    """Why no verdict may rest on these pairs, or None.

    Where all of them took turns, it is no reason that samples drifted or spread: what both sides met
    cancels in their ratio, and the rest is in its interval.
    """
    one, other = by_replicate(ours), by_replicate(theirs)
    shared = [block for block in one if block in other]
    turns = bool(shared) and all(in_turn(one[block], other[block]) for block in shared)
    return why_invalid(ours, theirs, harmless=CANCELLED if turns else ())


def why_invalid(*sides: pd.DataFrame, harmless: Sequence[str] = ()) -> str | None:
    """Why no verdict may rest on these processes, or None: some stayed unstable, were not proven right, or
    ran on different machines.

    Args:
        harmless: what may have disturbed them all the same.
    """
    processes = pd.concat(sides)
    if "relative_error" in processes and processes["relative_error"].isna().any():
        return "not held against the reference"
    if "machine" in processes and processes["machine"].dropna().nunique() > 1:
        return "measured on different machines"
    reasons = [kinds_of(why) for why in processes["unstable"].dropna()]
    left = [kinds for kinds in ([k for k in found if k not in harmless] for found in reasons) if kinds]
    if not left:
        return None
    kinds = dict.fromkeys(kind for found in left for kind in found)
    return f"{counted(len(left), 'process', 'processes')} unstable ({', '.join(kinds)})"


def kinds_of(why: object) -> list[str]:
    """ "load: others used 1.50 of 2 cores; spread: wide" -> load, spread."""
    return [reason.partition(":")[0].strip() for reason in str(why).split("; ")]


def _speedup(ratio: Estimate) -> dict[str, float]:
    return {"speedup": ratio.value, "speedup_low": ratio.low, "speedup_high": ratio.high}
