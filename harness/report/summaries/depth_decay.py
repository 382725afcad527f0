"""Depth decay: medians of ‖∂h^l_t/∂h^m_k‖ over the lag for every pair of layers, rates, and reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order, rows_of
from harness.report.summaries.rates import SPECTRAL, columns_of, rate_of

STUDY = "depth_decay"
SHOWN = ("cell", *VARIANT, "structure")
"""Axes that the figures show; the others are shared."""
PAIR = ("later_layer", "earlier_layer")


@dataclass(frozen=True)
class DepthDecays:
    """Args:
    curves: one row per setting, pair of layers and lag: log10_median over seeds and samples, `top` (l is the
        topmost layer), `variant` (initialization, gain, forget bias in one).
    rates: one row per setting and pair, of the lags from 0 on: the columns of a decay's summary, and
        log10_at_lag_0; log10_ahead: the median at the most negative lag there is (NaN where there is none).
    axes: the study's axes without the seed.
    """

    curves: pd.DataFrame
    rates: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def depth_decays(run: Run) -> DepthDecays | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", SPECTRAL, "cell", "initialization", "structure", *PAIR):
        return None
    measured = measured.dropna(subset=[SPECTRAL])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    curves, rates = [], []
    for setting, part in groups(measured, axes):
        named = {**setting, "variant": variant(setting)}
        highest = int(part["later_layer"].max())
        for pair, rows in groups(part, list(PAIR)):
            # of an even number the lower: never between a number and −inf
            median = rows.groupby("lag")[SPECTRAL].median()
            whose = {**named, **{name: int(value) for name, value in pair.items()}}
            whose["top"] = whose["later_layer"] == highest
            table = median.rename("log10_median").reset_index()
            curves.append(table.assign(**{name: [value] * len(table) for name, value in whose.items()}))
            found = rate_of(rows[rows["lag"] >= 0])
            if found is not None:
                rates.append({**whose, **columns_of(found), **_ends(median)})
    if not rates:
        return None
    return DepthDecays(
        in_order(pd.concat(curves, ignore_index=True), [*axes, *PAIR, "lag"]).reset_index(drop=True),
        in_order(pd.DataFrame(rates), [*axes, *PAIR]).reset_index(drop=True),
        axes,
    )


def _ends(median: pd.Series) -> dict[str, Any]:
    lags = median.index.to_numpy()
    return {
        "log10_at_lag_0": float(median.loc[0]) if 0 in lags else np.nan,
        "log10_ahead": float(median.iloc[0]) if lags[0] < 0 else np.nan,
        "farthest_ahead": int(-lags[0]) if lags[0] < 0 else 0,
    }


def skip_of(structure: object) -> int:
    """How many steps a structure's skips across time lead back; 1 where it has none."""
    _, separator, steps = str(structure).rpartition("skip ")
    return int(steps) if separator and steps.isdigit() else 1


def late(found: DepthDecays, row: Mapping[Any, Any], window: int) -> float:
    """log10 of the largest median norm from the topmost layer to the lowest within the last `window` lags.

    With skips of s steps the norm over the lag is a saw-tooth of period s: at one lag it says as much of the
    phase as of the reach.

    Args:
        row: of `through_all`.
    """
    own = rows_of(found.curves, {axis: row[axis] for axis in (*found.axes, *PAIR)})
    last = own[own["lag"] > row["largest_lag"] - window]
    return float(last["log10_median"].max())


def through_all(found: DepthDecays) -> pd.DataFrame:
    """Of each setting the rates from the topmost layer to the lowest, with those within the topmost beside:
    half_life_within, horizon_within."""
    tops = found.rates[found.rates["top"]]
    rows = []
    for row in tops[tops["earlier_layer"] == 1].to_dict("records"):
        own = {axis: row[axis] for axis in found.axes}
        within = rows_of(tops[tops["earlier_layer"] == tops["later_layer"]], own).iloc[0]
        rows.append(
            {
                **row,
                "half_life_within": within["half_life_steps"],
                "horizon_within": within["horizon_1_percent_steps"],
            }
        )
    return pd.DataFrame(rows)
