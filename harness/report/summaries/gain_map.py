"""The gain map: rate and verdict per initialization and gain, and where the rate crosses zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import variant
from harness.report.summaries.grouping import groups, has, in_order
from harness.report.summaries.rates import SPECTRAL, columns_of, rate_of

STUDY = "gain_map"
SHOWN = ("cell", "initialization", "gain", "forget_bias", "input_scale")
"""Axes that the figures show; the others are shared."""
ROUNDING = 1e-9
"""Nats per step below which a rate is 0."""
THEORY = ("mean_field_exponent", "critical_gain", "chi", "effective_gain", "input_variance")


@dataclass(frozen=True)
class GainMap:
    """Args:
    rates: one row per setting: `line` (initialization and forget bias), the columns of a decay's summary,
        and means over seeds of the theory's facts (NaN where it does not apply).
    crossings: one row per setting but the gain: crossing (the smallest gain at which the rate comes up
        through zero, interpolated; NaN where it does not, or where no smaller gain is vanishing or no larger
        one stable or exploding: a rate near zero that no verdict stands behind is no crossing),
        critical_gain (χ = 1), lowest_gain, lowest_rate, highest_gain, highest_rate, largest_gap (of
        |rate − ½ ln χ|, nats per step), and below_gain, the largest gain before the crossing that is
        vanishing, above_gain, the smallest after it that is exploding (stable where none is), and above,
        that verdict.
    axes: the study's axes without the seed.
    """

    rates: pd.DataFrame
    crossings: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def gain_map(run: Run) -> GainMap | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", SPECTRAL, "cell", "initialization", "gain"):
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    rows = []
    for setting, part in groups(measured, axes):
        found = rate_of(part)
        if found is not None:
            cases = part.drop_duplicates("key")
            facts = {name: _mean(cases[name]) if name in cases else np.nan for name in THEORY}
            line = variant({**setting, "gain": None})
            rows.append({**setting, "line": line, **columns_of(found), **facts})
    if not rows:
        return None
    rates = in_order(pd.DataFrame(rows), axes).reset_index(drop=True)
    others = [axis for axis in axes if axis != "gain"]
    crossings = [
        {**setting, "line": part["line"].iloc[0], **_crossing(part.sort_values("gain"))}
        for setting, part in groups(rates, others)
    ]
    return GainMap(rates, pd.DataFrame(crossings), axes)


def _mean(values: pd.Series) -> float:
    return float(values.astype(float).mean())


def _crossing(part: pd.DataFrame) -> dict[str, Any]:
    gain, rate = part["gain"].to_numpy(float), part["nats_per_step"].to_numpy(float)
    rate = np.where(np.abs(rate) < ROUNDING, 0.0, rate)
    verdicts = part["verdict"].tolist()
    gap = np.abs(rate - part["mean_field_exponent"].to_numpy(float))
    found: dict[str, Any] = {
        "crossing": np.nan,
        "critical_gain": _mean(part["critical_gain"]),
        "lowest_gain": gain[0],
        "lowest_rate": rate[0],
        "highest_gain": gain[-1],
        "highest_rate": rate[-1],
        "largest_gap": float(np.nanmax(gap)) if np.isfinite(gap).any() else np.nan,
        "below_gain": np.nan,
        "above_gain": np.nan,
        "above": None,
    }
    rises = np.flatnonzero((rate[:-1] < 0) & (rate[1:] >= 0) & np.isfinite(rate[:-1]))
    if len(rises):
        i = int(rises[0])
        lows = [j for j in range(i + 1) if verdicts[j] == "vanishing"]
        highs = [
            j
            for verdict in ("exploding", "stable")
            for j in range(i + 1, len(gain))
            if verdicts[j] == verdict
        ]
        if lows and highs:
            share = -rate[i] / (rate[i + 1] - rate[i])
            found |= {
                "crossing": float(gain[i] + share * (gain[i + 1] - gain[i])),
                "below_gain": gain[lows[-1]],
                "above_gain": gain[highs[0]],
                "above": verdicts[highs[0]],
            }
    return found
