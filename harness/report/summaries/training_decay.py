"""Decay before, along and after training: a decay's summary at every measured step, and the loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.frames import Run
from harness.report.statistics import curve
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order
from harness.report.summaries.rates import SPECTRAL, columns_of, rate_of

STUDY = "training_decay"
SHOWN = ("cell", *VARIANT)
"""Axes that the figures show; the others are shared."""


@dataclass(frozen=True)
class TrainingDecays:
    """Args:
    curves: one row per setting, step and lag: log10_median, log10_low, log10_high over seeds and samples.
    along: one row per setting and measured step: the columns of a decay's summary, and held_out_loss
        (mean over seeds, nats per character).
    losses: one row per setting and step: loss, the training loss, mean over seeds.
    facts: one row per setting, means over seeds: vocabulary_size, uniform_loss, weight_norm_before,
        weight_norm_after; diverged, how many of its trainings did, and of the first of these diverged_at_step
        and last_good_step.
    changes: one row per setting, of the differences after training less before, paired by the seed:
        rate_change, rate_low, rate_high (nats per step) and horizon_change, horizon_low, horizon_high
        (steps, of the 1 % horizon; one beyond the lags observed counts as the longest of them): means and
        95 % t-intervals, NaN where there is none; rate_pairs and horizon_pairs, of how many seeds.
    axes: the study's axes without the seed; `variant` names initialization, gain and forget bias in one.
    """

    curves: pd.DataFrame
    along: pd.DataFrame
    losses: pd.DataFrame
    facts: pd.DataFrame
    changes: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def training_decays(run: Run) -> TrainingDecays | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "step", "lag", SPECTRAL, "loss", "cell", "initialization"):
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    tables: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("curves", "along", "losses", "facts", "changes")
    }
    for setting, part in groups(measured, axes):
        named = {**setting, "variant": variant(setting)}
        decay = part[part["quantity"] == "decay"]
        if decay.dropna(subset=[SPECTRAL]).empty:
            continue
        found = {
            "curves": _curves(decay),
            "along": _along(decay, _mean_loss(part, "held_out_loss")),
            "losses": _mean_loss(part, "loss").rename("loss").reset_index(),
            "facts": _facts(part.drop_duplicates("key")),
            "changes": _changes(decay),
        }
        for name, table in found.items():
            tables[name].append(table.assign(**{axis: [v] * len(table) for axis, v in named.items()}))
    if not tables["along"]:
        return None
    frames = {
        name: in_order(pd.concat(parts, ignore_index=True), axes).reset_index(drop=True)
        for name, parts in tables.items()
    }
    return TrainingDecays(**frames, axes=axes)


def _curves(decay: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for step, rows in decay.groupby("step"):
        found = curve(rows["lag"], rows[SPECTRAL])
        columns = {"lag": found.x.astype(int), "log10_median": found.median}
        parts.append(
            pd.DataFrame({"step": step, **columns, "log10_low": found.low, "log10_high": found.high})
        )
    return pd.concat(parts, ignore_index=True)


def _along(decay: pd.DataFrame, loss: pd.Series) -> pd.DataFrame:
    rows = []
    for step, part in decay.groupby("step"):
        found = rate_of(part)
        if found is not None:
            rows.append({"step": step, **columns_of(found), "held_out_loss": loss.get(step, np.nan)})
    return pd.DataFrame(rows)


def _changes(decay: pd.DataFrame) -> pd.DataFrame:
    """Each network is its own control: what differs between seeds cancels."""
    rates: list[float] = []
    horizons: list[float] = []
    for _, own in decay.groupby("key", sort=False):
        steps = own["step"].astype(float)
        ends = [rate_of(own[steps == step]) for step in (steps.min(), steps.max())]
        if steps.min() == steps.max() or None in ends:
            continue
        before, after = (columns_of(end) for end in ends if end is not None)
        rates.append(after["nats_per_step"] - before["nats_per_step"])
        horizons.append(_horizon(after) - _horizon(before))
    return pd.DataFrame([{**_mean_of("rate", rates), **_mean_of("horizon", horizons)}])


def _horizon(found: dict[str, Any]) -> float:
    horizon = float(found["horizon_1_percent_steps"])
    return float(found["largest_lag"]) if np.isnan(horizon) else horizon


def _mean_of(name: str, differences: list[float]) -> dict[str, float]:
    finite = np.array(differences)[np.isfinite(differences)]
    if not finite.size:
        return {
            **dict.fromkeys((f"{name}_change", f"{name}_low", f"{name}_high"), np.nan),
            f"{name}_pairs": 0,
        }
    found = effects.mean(finite, "network")
    return {
        f"{name}_change": found.value,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_pairs": found.units,
    }


def _mean_loss(part: pd.DataFrame, quantity: str) -> Any:
    return part[part["quantity"] == quantity].groupby("step")["loss"].mean()


def _facts(cases: pd.DataFrame) -> pd.DataFrame:
    names = ("vocabulary_size", "uniform_loss", "weight_norm_before", "weight_norm_after")
    found = {name: float(cases[name].astype(float).mean()) if name in cases else np.nan for name in names}
    return pd.DataFrame([{**found, "seeds": len(cases), **_divergence(cases)}])


def _divergence(cases: pd.DataFrame) -> dict[str, float]:
    names = ("diverged_at_step", "last_good_step")
    gone = cases.dropna(subset=["diverged_at_step"]) if "diverged_at_step" in cases else cases[:0]
    if gone.empty:
        return {"diverged": 0, **dict.fromkeys(names, np.nan)}
    first = gone.astype(dict.fromkeys(names, float)).nsmallest(1, "diverged_at_step")
    return {"diverged": len(gone), **{name: float(first[name].iloc[0]) for name in names}}
