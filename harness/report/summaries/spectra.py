"""Spectra: singular values of ∂s_t/∂s_k per setting and lag, and how unevenly directions are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import median
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order

STUDY = "spectra"
VALUE = "log10_singular_value"
SHOWN = ("cell", *VARIANT, "lag")
"""Axes that the figures show; the others are shared."""


@dataclass(frozen=True)
class Spectra:
    """Args:
    values: one row per setting, lag and index: log10_median over seeds and samples.
    conditions: one row per setting and lag, medians over seeds and samples: log10_largest, log10_middle,
        log10_smallest, log10_condition (∞ where a singular value is zero), log_volume (Σ ln σ, nats), zeros
        (how many singular values are exactly zero), state_size, observations (seeds × samples), seeds.
    axes: the study's axes without the seed; `variant` names initialization, gain and forget bias in one.
    """

    values: pd.DataFrame
    conditions: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def spectra(run: Run) -> Spectra | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "index", VALUE, "lag", "cell", "initialization"):
        return None
    measured = measured.dropna(subset=[VALUE])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    values, conditions = [], []
    for setting, part in groups(measured, axes):
        named = {**setting, "variant": variant(setting)}
        table = _by_observation(part)
        middle = np.median(table, axis=0)
        values += [{**named, "index": i + 1, "log10_median": value} for i, value in enumerate(middle)]
        conditions.append({**named, **_condition(table), "seeds": part["key"].nunique()})
    if not conditions:
        return None
    order = [axis for axis in axes if axis != "lag"]
    return Spectra(
        in_order(pd.DataFrame(values), [*order, "lag", "index"]).reset_index(drop=True),
        in_order(pd.DataFrame(conditions), [*order, "lag"]).reset_index(drop=True),
        axes,
    )


def _by_observation(part: pd.DataFrame) -> np.ndarray:
    """(observations, S), descending along S."""
    who = [name for name in ("key", "sample") if name in part]
    return np.stack([np.sort(rows[VALUE].to_numpy(float))[::-1] for _, rows in part.groupby(who)])


def _condition(table: np.ndarray) -> dict[str, float]:
    zeros = np.isneginf(table)
    with np.errstate(invalid="ignore"):
        condition = np.where(zeros.all(axis=1), np.nan, table[:, 0] - table[:, -1])
    return {
        "log10_largest": median(table[:, 0]),
        "log10_middle": median(table[:, (table.shape[1] - 1) // 2]),
        "log10_smallest": median(table[:, -1]),
        "log10_condition": median(condition),
        "log_volume": median(table.sum(axis=1) * np.log(10.0)),
        "zeros": median(zeros.sum(axis=1)),
        "state_size": table.shape[1],
        "observations": len(table),
    }
