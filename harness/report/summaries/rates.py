"""Rates: what a study's decay curves say in numbers that people act on, one summary per setting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.gradients.summary import VERDICTS, DecaySummary, summarize_decay

__all__ = ["SPECTRAL", "VERDICTS", "columns_of", "rate_of"]

SPECTRAL = "log10_spectral_norm"


def rate_of(rows: pd.DataFrame, column: str = SPECTRAL) -> DecaySummary | None:
    """The summary of one setting's curves, or None where there is no number.

    Args:
        rows: lag and `column`; sample and seed where there are several.
    """
    known = rows.dropna(subset=["lag", column])
    if known.empty:
        return None
    places = [_numbered(known, name) for name in ("lag", "sample", "seed")]
    norms = np.full([len(distinct) for distinct, _ in places], np.nan)
    norms[tuple(position for _, position in places)] = known[column].to_numpy(float)
    return summarize_decay(places[0][0].astype(float), norms)


def horizon_of(lags: Any, log10_median: Any) -> float | None:
    """The lag from which on a curve of medians stays at or below one percent, interpolated; None where it
    does not."""
    return summarize_decay(lags, log10_median).horizon_1_percent


def _numbered(rows: pd.DataFrame, name: str) -> tuple[Any, Any]:
    """The distinct values, ascending, and the place of each row's among them."""
    if name not in rows or rows[name].isna().any():
        return np.zeros(1), np.zeros(len(rows), dtype=int)
    return np.unique(rows[name].to_numpy(), return_inverse=True)


def columns_of(found: DecaySummary) -> dict[str, Any]:
    """A summary's scalars, as columns for programs; what lies beyond the lags observed is missing."""

    def number(value: float | None) -> float:
        return np.nan if value is None else float(value)

    return {
        "nats_per_step": found.rate,
        "nats_per_step_low": found.rate_low,
        "nats_per_step_high": found.rate_high,
        "half_life_steps": number(found.half_life),
        "horizon_1_percent_steps": number(found.horizon_1_percent),
        "horizon_1_per_mille_steps": number(found.horizon_1_per_mille),
        "zero_from_lag": number(found.zero_from),
        "largest_lag": found.longest_lag,
        "exact_zeros_at_largest_lag": found.zeros,
        "observations_at_largest_lag": found.observed,
        "log10_typical_at_largest_lag": float(found.log10_typical[-1]),
        "log10_annealed_at_largest_lag": float(found.log10_annealed[-1]),
        "seeds": found.seeds,
        "verdict": found.verdict,
        "rule": found.rule,
    }
