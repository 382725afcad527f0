"""Speed-ups of each backend over each other one: geometric mean and worst point, per cell and pass.

Ratios are taken within a replicate, where both took turns; the interval of a mean over many
settings is that of its values in the replicates.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.machines import AXIS, apart
from harness.report.pairs import pair_ratios
from harness.report.statistics import Estimate, estimate, geometric_mean
from harness.report.summaries.grouping import groups, least, most
from harness.report.summaries.throughput import Throughput, by_replicate, throughput, why_no_pairs
from harness.report.verdicts import WORDS, Comparison, judge, paired_ratio


@dataclass(frozen=True)
class Speedups:
    """Args:
    frame: one row per backend, peer and kind (machine, cell and pass; all cells and passes: NaN): points,
        speedup (geometric mean of the peer's time over the backend's) with speedup_low and speedup_high,
        worst, best, how many points are faster, slower, same, ambiguous, invalid, and `worst_…`: the axes of
        the worst point.
    champion: the backend that is fastest most often.
    kinds: the axes of a kind.
    axes: every axis of a setting.
    """

    frame: pd.DataFrame
    champion: str
    kinds: list[str]
    axes: list[str]


@lru_cache(maxsize=1)
def speedups(run: Run) -> Speedups | None:
    """The summary, or None where no two backends were measured on one case."""
    timed = throughput(run)
    if timed is None:
        return None
    kinds = [axis for axis in timed.axes if axis in (AXIS, "cell", "pass")]
    rows = []
    for backend, peer in itertools.permutations(timed.frame["backend"].unique(), 2):
        shared = _shared(timed, backend, peer)
        if shared.empty:
            continue
        whole = apart(kinds)
        parts = [*groups(shared, whole), *(groups(shared, kinds) if kinds != whole else [])]
        rows += [{"backend": backend, "peer": peer, **kind, **_row(part, timed.axes)} for kind, part in parts]
    if not rows:
        return None
    frame = pd.DataFrame(rows).reindex(
        columns=[
            *("backend", "peer", *kinds, "points", "speedup", "speedup_low", "speedup_high"),
            *("worst", "best", *WORDS),
            *(f"worst_{axis}" for axis in timed.axes),
        ]
    )
    return Speedups(frame, _champion(timed), kinds, timed.axes)


def _shared(timed: Throughput, backend: str, peer: str) -> pd.DataFrame:
    """The settings that both were measured on in some replicate: the ratio of their times, its values by
    replicate, and the verdict over all of them."""
    rows, comparisons = [], []
    sides = [timed.processes[timed.processes["backend"] == name] for name in (backend, peer)]
    theirs_by_setting = dict(list(sides[1].groupby("setting")))
    for setting, ours in sides[0].groupby("setting", sort=False):
        theirs = theirs_by_setting.get(setting, ours.iloc[:0])
        ratio = paired_ratio(by_replicate(theirs), by_replicate(ours))
        if ratio.processes:
            ratios = pair_ratios(by_replicate(theirs), by_replicate(ours))
            axes = {axis: ours[axis].iloc[0] for axis in timed.axes}
            rows.append({**axes, "ratio": ratio.value, "ratios": ratios})
            comparisons.append(Comparison(ratio, why_no_pairs(ours, theirs)))
    verdicts = [verdict.word for verdict in judge(comparisons)]
    return pd.DataFrame(rows).assign(verdict=verdicts) if rows else pd.DataFrame()


def _mean(part: pd.DataFrame) -> Estimate:
    """The geometric mean over the points, judged by its values in the replicates that have all of them."""
    shared = set.intersection(*(set(ratios) for ratios in part["ratios"]))
    if len(shared) < 2:
        return Estimate(geometric_mean(part["ratio"]), np.nan, np.nan, np.nan, len(shared))
    return estimate([geometric_mean([ratios[r] for ratios in part["ratios"]]) for r in sorted(shared)])


def _row(part: pd.DataFrame, axes: list[str]) -> dict[str, object]:
    worst, mean = least(part, "ratio"), _mean(part)
    return {
        "points": len(part),
        "speedup": mean.value,
        "speedup_low": mean.low,
        "speedup_high": mean.high,
        "worst": worst["ratio"],
        "best": most(part, "ratio")["ratio"],
        **{word: int((part["verdict"] == word).sum()) for word in WORDS},
        **{f"worst_{axis}": worst[axis] for axis in axes},
    }


def _champion(timed: Throughput) -> str:
    wins = Counter(
        str(least(part, "seconds")["backend"]) for _, part in groups(timed.frame, timed.axes) if len(part) > 1
    )
    return min(wins, key=lambda name: (-wins[name], name))
