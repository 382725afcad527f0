"""Certainty: how much this run's own processes and pairs differ, and what its statistics find at that spread.

Verdicts on speed rest on pairs, so it is the spread of pairs that decides what they can find; that of the
processes decides how well a time is known by itself.  Both are told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.machines import apart
from harness.report.pairs import pair_ratios
from harness.report.simulation import (
    FalsePositives,
    Spread,
    coverage,
    coverage_of_ratios,
    false_positives,
    power,
)
from harness.report.summaries.grouping import groups
from harness.report.summaries.throughput import (
    CANCELLED,
    by_replicate,
    kinds_of,
    last_attempt,
    throughput,
)
from harness.report.words import missing

REPLICATES = (3, 5, 10)
SLOWDOWNS = (0.02, 0.05, 0.10, 0.20, 0.50)
NAMED_SLOWDOWN = 0.10
STEADY_SPEED = 1.1
"""A machine whose own speed changes by more is not steady."""
TRIALS = 400
_QUARTILES_TO_DEVIATION = 1.349
"""The middle half of a normal distribution spans so many standard deviations."""


@dataclass(frozen=True)
class Certainty:
    """Args:
    spread: as measured in this run.
    replicates: processes per case.
    comparisons: how many speed-ups are judged together.
    coverage, coverage_of_ratios: of the 95 % intervals of times, and of ratios.
    false_positives: of identical code over a grid of this size.
    speed_change: by how much the machine itself changed its speed from case to case: the ninth decile of
        the time of a fixed piece of work over the first; NaN where none was timed.
    power: one row per replicates and slowdown: the share found, of one comparison judged by itself.
    """

    spread: Spread
    replicates: int
    comparisons: int
    coverage: float
    coverage_of_ratios: float
    false_positives: FalsePositives
    speed_change: float
    power: pd.DataFrame


@lru_cache(maxsize=1)
def certainty(run: Run) -> Certainty | None:
    """The summary, or None where no case was timed in two processes."""
    timed, measured = throughput(run), run.measured("throughput")
    if timed is None:
        return None
    spread = measured_spread(timed.processes, last_attempt(measured[measured["seconds"] > 0]))
    if spread is None:
        return None
    replicates = int(timed.frame["processes"].max())
    comparisons = max(1, int(timed.frame["verdict"].notna().sum()))
    curve = [
        {"replicates": n, "slowdown": s, "power": power(spread, n, s, trials=TRIALS)}
        for n in sorted({*REPLICATES, replicates})
        for s in SLOWDOWNS
    ]
    return Certainty(
        spread,
        replicates,
        comparisons,
        coverage(spread, replicates),
        coverage_of_ratios(spread, replicates),
        false_positives(spread, replicates, comparisons, trials=100),
        speed_change(timed.processes),
        pd.DataFrame(curve),
    )


def speed_change(processes: pd.DataFrame) -> float:
    """The ninth decile of `probe_seconds` over the first, on the machine where it is largest."""
    if "probe_seconds" not in processes or processes["probe_seconds"].isna().all():
        return np.nan
    known = processes.dropna(subset=["probe_seconds"])
    parts = [part["probe_seconds"] for _, part in groups(known, apart(known.columns))]
    return max(float(part.quantile(0.9) / part.quantile(0.1)) for part in parts)


def measured_spread(processes: pd.DataFrame, samples: pd.DataFrame) -> Spread | None:
    """The pooled spread of the processes that nothing disturbed but what pairs cancel (of all, where there
    are too few of those), or None where nothing was measured in two replicates.

    Args:
        processes: setting, backend, replicate, seconds, process, unstable, key; one row per process.
        samples: key, seconds, and round where there is one: the samples that are read.
    """
    calm = [missing(why) or set(kinds_of(why)) <= set(CANCELLED) for why in processes["unstable"]]
    return _spread(processes[calm], samples) or _spread(processes, samples)


def _spread(processes: pd.DataFrame, samples: pd.DataFrame) -> Spread | None:
    of_processes, of_pairs = _Pool(), _Pool()
    for _, part in processes.groupby("setting"):
        sides = [by_replicate(side) for _, side in part.groupby("backend")]
        for side in sides:
            of_processes.add([process.seconds for process in side.values()])
        for theirs, ours in itertools.combinations(sides, 2):
            of_pairs.add(pair_ratios(theirs, ours).values())
    between = of_processes.deviation
    if between is None:
        return None
    pairs = of_pairs.deviation
    within, drift = _inside(samples[samples["key"].isin(processes["key"])])
    return Spread(between, np.sqrt(2.0) * between if pairs is None else pairs, within, drift)


class _Pool:
    """The standard deviation of logarithms, pooled over groups with levels of their own."""

    def __init__(self) -> None:
        self._squares, self._freedom = 0.0, 0

    def add(self, values: Iterable[float]) -> None:
        logs = np.log(list(values))
        if len(logs) > 1:
            self._squares += float(((logs - logs.mean()) ** 2).sum())
            self._freedom += len(logs) - 1

    @property
    def deviation(self) -> float | None:
        return float(np.sqrt(self._squares / self._freedom)) if self._freedom else None


def _inside(samples: pd.DataFrame) -> tuple[float, float]:
    """Within a round, and from round to round, of a typical process; one round where none is recorded.

    Rounds of one sample tell nothing of what is within; where there are no others that is 0.
    """
    logs = pd.DataFrame({"key": samples["key"], "log": np.log(samples["seconds"])})
    logs["round"] = samples["round"].fillna(0) if "round" in samples else 0
    rounds = logs.groupby(["key", "round"])["log"]
    size = rounds.transform("size")
    around = (logs["log"] - rounds.transform("mean")) * np.sqrt(size / (size - 1).clip(lower=1))
    several = size > 1
    within = _typical(around[several].groupby(logs["key"][several])) if several.any() else 0.0
    medians = rounds.median()
    drift = _typical(medians.groupby("key")) if (medians.groupby("key").size() > 1).any() else 0.0
    return within, drift


def _typical(grouped: Any) -> float:
    """The median over groups of a standard deviation that a few far values do not move."""
    quartiles = grouped.quantile(np.array([0.25, 0.75])).unstack()
    return float((quartiles[0.75] - quartiles[0.25]).median()) / _QUARTILES_TO_DEVIATION
