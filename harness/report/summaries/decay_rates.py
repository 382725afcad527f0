"""Every decay curve condensed: rate with its interval, half-life, horizons, verdict with its rule."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import NORM, STUDY
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.rates import columns_of, rate_of


@lru_cache(maxsize=1)
def decay_rates(run: Run) -> tuple[pd.DataFrame, list[str]] | None:
    """One row per setting and block, with the columns of `columns_of`, and the axes without the seed."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", NORM, "cell", "initialization"):
        return None
    if "block" not in measured:
        measured = measured.assign(block="hh")
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    rows = []
    for setting, part in groups(measured, [*axes, "block"]):
        found = rate_of(part, NORM)
        if found is not None:
            rows.append({**setting, **columns_of(found)})
    return (pd.DataFrame(rows), axes) if rows else None
