"""Pairs: rows that agree in every axis but one, side by side; and each network's own decay in one number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.statistics import geometric_mean
from harness.report.summaries.gradient_decay import NORM, STUDY, norms

LN10 = float(np.log(10.0))


def pairs(frame: pd.DataFrame, axis: str, first: object, second: object, axes: Sequence[str]) -> pd.DataFrame:
    """Rows with `first` on `axis` beside those with `second` that agree in all other axes.

    Args:
        frame: one row per case.
        axes: what has to agree, besides `axis`, which may be among them; what is absent agrees with absent.

    Returns:
        The axes, and every other column twice: with _1 and with _2.
    """
    keys = [name for name in axes if name != axis and name in frame]
    sides = [frame[frame[axis] == value].drop(columns=axis) for value in (first, second)]
    left, right = (side.assign(**{key: side[key].astype(object) for key in keys}) for side in sides)
    for side in (left, right):
        for key in keys:
            side[key] = side[key].where(side[key].notna(), None)
    return left.merge(right, on=keys, suffixes=("_1", "_2"))


def zeros(number: int) -> str:
    """What is said of networks whose norm is exactly zero, which no mean of logarithms can hold."""
    return f"; without {number} whose norm is exactly zero" if number else ""


def per_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """The mean of each seed's rows, or the rows themselves where there are no seeds.

    Networks of one seed share their weights, whatever inputs they read and for how long: they are one unit.
    """
    return rows[column] if "seed" not in rows else rows.groupby("seed", dropna=False)[column].mean()


def over_processes(part: pd.DataFrame, axes: Sequence[str]) -> Effect:
    """Geometric mean of a ratio over settings, with the interval over the processes (replicates).

    The settings are chosen, the processes are drawn: of each process the mean over all settings is one value.
    Where fewer than two processes have all settings, those count that all processes have; where there is none
    such, or one process only, there is no interval.

    Args:
        part: one row per setting and process: replicate, ratio, and the axes that make a setting.
    """
    numbered = part.assign(setting=part.groupby(list(axes), dropna=False, sort=False).ngroup())
    table = numbered.pivot_table(index="replicate", columns="setting", values="ratio")
    whole = table.dropna()
    if len(whole) < 2:
        whole = table.dropna(axis=1)
    if len(whole) < 2 or whole.shape[1] == 0:
        return effects.exact(geometric_mean(part["ratio"]), max(1, len(table)), "process")
    return effects.ratio([geometric_mean(row) for row in whole.to_numpy()], "process")


@lru_cache(maxsize=1)
def last_lags(run: Run) -> pd.DataFrame | None:
    """The rows of the gradient decay at each network's longest lag, one per block and sample; None where
    nothing was measured."""
    measured = norms(run)
    if measured is None:
        return None
    last = measured[measured["lag"] == measured.groupby("key")["lag"].transform("max")]
    return last[last["lag"] > 0]


@lru_cache(maxsize=1)
def networks(run: Run) -> pd.DataFrame | None:
    """One row per network and block of the gradient decay, or None where nothing was measured.

    Columns: key, the axes, block, longest_lag, log10_norm (at the longest lag, the median over those samples
    in which it is not exactly zero; −inf where it is in all) and nats_per_step (its natural logarithm over
    that lag: the rate over all lags).
    """
    last = last_lags(run)
    if last is None:
        return None
    alive = last[np.isfinite(last[NORM].astype(float))]
    middle = alive.groupby(["key", "block"])[NORM].median()
    rows = last.drop_duplicates(["key", "block"]).set_index(["key", "block"])
    rows = rows[[axis for axis in run.axes(STUDY) if axis in rows]].assign(
        longest_lag=rows["lag"].astype(float), log10_norm=middle.reindex(rows.index).fillna(-np.inf)
    )
    rows["nats_per_step"] = rows["log10_norm"] * LN10 / rows["longest_lag"]
    return rows.reset_index()
