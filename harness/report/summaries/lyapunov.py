"""Lyapunov exponents per setting: means over seeds, their errors, their running averages, and theory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order

STUDY = "lyapunov"
SHOWN = ("cell", *VARIANT)
"""Axes that the figures show; the others are shared."""
ROUNDING = 1e-9
"""Nats per step: what sums of rounded logarithms may leave of an exponent that is 0."""
_FACTS = ("kaplan_yorke_dimension", "entropy_rate", "mean_field_exponent", "chi", "critical_gain")
_THEORY = ("exponent_theory", "exponent_random_matrix")


@dataclass(frozen=True)
class Exponents:
    """Args:
    curves: one row per setting, steps and index, means over seeds: exponent, standard_error (of that mean,
        from each seed's own), exponent_theory, exponent_random_matrix.
    settings: one row per setting: the largest exponent and its error, seed_low and seed_high (the range
        over seeds), smallest_exponent, positive (how many lie above 0 by more than
        `margin`), steps, state_size,
        converged (of how many seeds), seeds, and means over seeds of the facts.
    axes: the study's axes without the seed; `variant` names initialization, gain and forget bias in one.
    """

    curves: pd.DataFrame
    settings: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def exponents(run: Run) -> Exponents | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "steps", "index", "exponent", "standard_error", "cell", "initialization"):
        return None
    measured = measured.dropna(subset=["exponent"])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    curves, settings = [], []
    for setting, part in groups(measured, axes):
        named = {**setting, "variant": variant(setting)}
        curve = _means(part)
        curves.append(curve.assign(**{name: [value] * len(curve) for name, value in named.items()}))
        settings.append({**named, **_largest(part, curve)})
    if not settings:
        return None
    return Exponents(
        in_order(pd.concat(curves, ignore_index=True), [*axes, "steps", "index"]).reset_index(drop=True),
        in_order(pd.DataFrame(settings), axes).reset_index(drop=True),
        axes,
    )


def margin(standard_error: Any) -> Any:
    """By how much an exponent must lie above 0 to count: two standard errors, and rounding."""
    return 2.0 * np.nan_to_num(standard_error) + ROUNDING


def _means(part: pd.DataFrame) -> pd.DataFrame:
    columns = ["exponent", "standard_error", *(name for name in _THEORY if name in part)]
    numbers = part[["steps", "index", *columns]].astype(float)
    numbers["square"] = numbers["standard_error"] ** 2
    by = numbers.groupby(["steps", "index"], sort=True)
    found = by[columns].mean().reset_index()
    found["standard_error"] = np.sqrt(by["square"].mean() / by.size()).to_numpy()
    return found.astype({"steps": int, "index": int})


def _largest(part: pd.DataFrame, curve: pd.DataFrame) -> dict[str, Any]:
    steps = int(part["steps"].max())
    end = curve[curve["steps"] == steps]
    first = end[end["index"] == 1].iloc[0]
    each = part[(part["steps"] == steps) & (part["index"] == 1)]
    cases = part.drop_duplicates("key")
    facts = {name: float(cases[name].astype(float).mean()) if name in cases else np.nan for name in _FACTS}
    return {
        "largest_exponent": float(first["exponent"]),
        "standard_error": float(first["standard_error"]),
        "seed_low": float(each["exponent"].min()),
        "seed_high": float(each["exponent"].max()),
        "smallest_exponent": float(end["exponent"].min()),
        "positive": int((end["exponent"] > margin(end["standard_error"].to_numpy(float))).sum()),
        "state_size": len(end),
        "steps": steps,
        "converged": int(cases["converged"].fillna(False).astype(bool).sum()) if "converged" in cases else 0,
        "seeds": len(cases),
        **facts,
    }
