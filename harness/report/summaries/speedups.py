"""Speed-ups of each backend over each other one: geometric mean and worst point, per cell and pass."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups, least, most
from harness.report.summaries.throughput import Throughput, throughput


@dataclass(frozen=True)
class Speedups:
    """Args:
    frame: one row per backend, peer and kind (cell and pass; all of them: NaN): points, speedup (geometric
        mean of the peer's time over the backend's), worst, best, and `worst_…`: the axes of the worst point.
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
    kinds = [axis for axis in timed.axes if axis in ("cell", "pass")]
    rows = []
    for backend, peer in itertools.permutations(timed.frame["backend"].unique(), 2):
        shared = _shared(timed, backend, peer)
        if shared.empty:
            continue
        parts = [({}, shared), *(groups(shared, kinds) if kinds else [])]
        rows += [{"backend": backend, "peer": peer, **kind, **_row(part, timed.axes)} for kind, part in parts]
    if not rows:
        return None
    frame = pd.DataFrame(rows).reindex(
        columns=[
            *("backend", "peer", *kinds, "points", "speedup", "worst", "best"),
            *(f"worst_{axis}" for axis in timed.axes),
        ]
    )
    return Speedups(frame, _champion(timed), kinds, timed.axes)


def _shared(timed: Throughput, backend: str, peer: str) -> pd.DataFrame:
    """The settings that both were measured on, with the ratio of their times."""
    frame = timed.frame
    ours, theirs = (frame.loc[frame["backend"] == name, [*timed.axes, "seconds"]] for name in (backend, peer))
    both = ours.merge(theirs, on=timed.axes, suffixes=("", "_peer")) if timed.axes else pd.DataFrame()
    return both.assign(ratio=both["seconds_peer"] / both["seconds"]) if not both.empty else both


def _row(part: pd.DataFrame, axes: list[str]) -> dict[str, object]:
    worst = least(part, "ratio")
    return {
        "points": len(part),
        "speedup": geometric_mean(part["ratio"]),
        "worst": worst["ratio"],
        "best": most(part, "ratio")["ratio"],
        **{f"worst_{axis}": worst[axis] for axis in axes},
    }


def _champion(timed: Throughput) -> str:
    wins = Counter(
        str(least(part, "seconds")["backend"]) for _, part in groups(timed.frame, timed.axes) if len(part) > 1
    )
    return min(wins, key=lambda name: (-wins[name], name))
