"""Crossovers: the size at which another backend becomes the faster one.

Between two measured sizes the ratio of two backends' times is taken as a power of the size, so that the
crossing is found by a straight line on logarithms.  A size where the two are nearly equal decides nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import groups
from harness.report.summaries.growth import MINIMUM_SIZES, SIZES
from harness.report.summaries.throughput import throughput

DECIDED = 1.05
"""One backend counts as the faster at a size where the other takes at least this many times as long."""

COLUMNS = ("at", "below", "above", "faster_below", "faster_above", "lead_below", "lead_above", "first")


@dataclass(frozen=True)
class Crossovers:
    """Args:
    frame: one row per crossing: size (the axis), the setting of the other axes, at (interpolated), below
        and above (the measured sizes around it), faster_below and faster_above (backends), lead_below
        and lead_above (ratios of times at these sizes), first (whether the fastest of all changes with it).
    compared: how many series of at least three sizes two backends share.
    axes: every axis of a setting.
    """

    frame: pd.DataFrame
    compared: int
    axes: list[str]


@lru_cache(maxsize=1)
def crossovers(run: Run) -> Crossovers | None:
    """The summary, or None where no two backends share three sizes."""
    timed = throughput(run)
    if timed is None:
        return None
    rows: list[dict[str, Any]] = []
    compared = 0
    for size in (name for name in SIZES if name in timed.axes):
        others = [axis for axis in timed.axes if axis != size]
        for setting, part in groups(timed.frame, others):
            seconds = part.pivot_table(index=size, columns="backend", values="seconds")
            for a, b in itertools.combinations(seconds.columns, 2):
                both = seconds[[a, b]].dropna()
                if len(both) < MINIMUM_SIZES:
                    continue
                compared += 1
                found = crossings(both.index.to_numpy(float), np.log((both[b] / both[a]).to_numpy()), (a, b))
                best = seconds.min(axis=1)
                rows += [
                    {"size": size, **setting, **row, "first": _first(row, seconds, best)} for row in found
                ]
    frame = pd.DataFrame(rows)
    if rows:
        frame = frame.reindex(columns=["size", *timed.axes, *COLUMNS])
        frame = frame.sort_values("first", ascending=False, kind="stable").reset_index(drop=True)
    return Crossovers(frame, compared, timed.axes) if compared else None


def crossings(sizes: Any, log_ratio: Any, names: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Each change of sides between neighbouring sizes that decide.

    Args:
        sizes: (N,), ascending.
        log_ratio: (N,), log of the second backend's time over the first one's: above 0 the first is faster.
        names: the two backends.
    """
    decided = np.abs(log_ratio) >= np.log(DECIDED)
    xs, ys = np.log(sizes[decided]), log_ratio[decided]
    for i in np.flatnonzero(np.sign(ys[1:]) != np.sign(ys[:-1])):
        share = ys[i] / (ys[i] - ys[i + 1])
        below, above = names if ys[i] > 0 else names[::-1]
        yield {
            "at": float(np.exp(xs[i] + share * (xs[i + 1] - xs[i]))),
            "below": float(sizes[decided][i]),
            "above": float(sizes[decided][i + 1]),
            "faster_below": below,
            "faster_above": above,
            "lead_below": float(np.exp(abs(ys[i]))),
            "lead_above": float(np.exp(abs(ys[i + 1]))),
        }


def _first(row: dict[str, Any], seconds: pd.DataFrame, best: pd.Series) -> bool:
    """Is the one that wins before the crossing, and the one that wins after it, the fastest of all there?"""
    return all(
        seconds.loc[row[place], row[f"faster_{place}"]] == best.loc[row[place]]
        for place in ("below", "above")
    )
