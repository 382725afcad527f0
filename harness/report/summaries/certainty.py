"""Certainty: how much this run's own processes differ, and what its statistics can find at that spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.machines import apart
from harness.report.simulation import FalsePositives, Spread, coverage, false_positives, power
from harness.report.summaries.grouping import groups
from harness.report.summaries.throughput import last_attempt, throughput

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
    coverage: of the 95 % intervals.
    false_positives: of identical code over a grid of this size.
    speed_change: by how much the machine itself changed its speed from case to case: the ninth decile of
        the time of a fixed piece of work over the first; NaN where none was timed.
    power: one row per replicates and slowdown: the share found, of one comparison judged by itself.
    """

    spread: Spread
    replicates: int
    comparisons: int
    coverage: float
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
    """The pooled spread of the processes that stayed stable (of all, where none did).

    Between processes, the replicate's own level is taken off where several backends share it: pairs
    cancel it.

    Args:
        processes: setting, backend, replicate, seconds, unstable, key; one row per process.
        samples: key, seconds: the samples that are read.
    """
    stable = processes[processes["unstable"].isna()]
    return _spread(stable, samples) or _spread(processes, samples)


def _spread(processes: pd.DataFrame, samples: pd.DataFrame) -> Spread | None:
    squares, freedom = 0.0, 0
    logs = processes.assign(log=np.log(processes["seconds"]))
    for _, part in logs.groupby("setting"):
        table = part.pivot_table(index="backend", columns="replicate", values="log").dropna()
        backends, replicates = table.shape
        if backends < 1 or replicates < 2:
            continue
        residual = table.sub(table.mean(axis=1), axis=0)
        if backends > 1:
            residual = residual - residual.mean(axis=0)
        squares += float((residual**2).to_numpy().sum())
        freedom += (replicates - 1) * max(1, backends - 1)
    if not freedom:
        return None
    read = samples[samples["key"].isin(processes["key"])]
    quartiles = np.log(read["seconds"]).groupby(read["key"]).quantile(np.array([0.25, 0.75])).unstack()
    within = float((quartiles[0.75] - quartiles[0.25]).median()) / _QUARTILES_TO_DEVIATION
    return Spread(float(np.sqrt(squares / freedom)), within)
