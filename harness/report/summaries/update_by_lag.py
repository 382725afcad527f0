"""Updates by lag: the terms of ∂L/∂W_hh beside their sum, and how far back an update reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import curve
from harness.report.summaries.gradient_decay import Decay
from harness.report.summaries.grouping import groups, has

STUDY = "update_by_lag"
TERM, WHOLE = "log10_term_norm", "log10_gradient_norm"
NEARLY_ALL = 0.99
FAR = 0.75


@dataclass(frozen=True)
class Updates:
    """Args:
    curves: one per setting, of log10 of ‖term‖ over ‖gradient‖ against the lag: its reach is the number of
        steps before a term first falls below 1 % of the update.
    networks: one row per network: key, the axes, `furthest_log10`, the largest of the terms beyond three
        quarters of the lags (the very last acts on h_0 = 0), over the
        largest of all,
        `far_share`, that of the further half of the lags in the sum
        of the terms' norms, and `nearly_all_lag`, within which 99 % of that sum lie.
    axes: the study's axes without the seed.
    """

    curves: tuple[Decay, ...]
    networks: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def updates(run: Run) -> Updates | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", TERM, WHOLE, "cell", "initialization"):
        return None
    measured = measured[np.isfinite(measured[WHOLE].astype(float))].dropna(subset=["lag", TERM])
    if measured.empty:
        return None
    measured = measured.assign(relative=measured[TERM] - measured[WHOLE])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    curves = tuple(
        Decay(setting, "hh", curve(part["lag"], part["relative"]), None, seeds, seeds)
        for setting, part in groups(measured, axes)
        for seeds in [part["key"].nunique()]
    )
    rows = [{"key": key, **_reach(part)} for key, part in measured.groupby("key", sort=False)]
    cases = measured.drop_duplicates("key")[["key", *run.axes(STUDY)]]
    return Updates(curves, cases.merge(pd.DataFrame(rows), on="key"), axes)


def _reach(part: pd.DataFrame) -> dict[str, float]:
    part = part.sort_values("lag")
    relative, lags = part["relative"].to_numpy(float), part["lag"].to_numpy(float)
    norms = 10.0**relative
    so_far = np.cumsum(norms) / norms.sum()
    return {
        "furthest_log10": float(relative[lags > FAR * lags[-1]].max() - relative.max()),
        "far_share": float(norms[lags > lags[-1] / 2].sum() / norms.sum()),
        "nearly_all_lag": float(lags[int(np.argmax(so_far >= NEARLY_ALL))]),
    }
