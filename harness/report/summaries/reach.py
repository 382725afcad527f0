"""How far gradients reach through time and depth: one row per network of the study `depth_decay`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import FAINT, NORM
from harness.report.summaries.grouping import has

STUDY = "depth_decay"
LAST = 0.75
"""Beyond this share of the longest lag a norm counts as far: skips jump, so that one lag says little."""


@lru_cache(maxsize=1)
def reaches(run: Run) -> pd.DataFrame | None:
    """One row per network, or None where nothing was measured.

    Columns: key, the axes, and, each the median over samples: log10_far, the largest norm within the top
    layer beyond three quarters of the longest lag; log10_through, the largest at any lag >= 0 from the top
    layer to the first (NaN for one layer); later_steps and earlier_steps, how many on either side reach the
    first layer with 1 % or more.
    """
    measured = run.measured(STUDY)
    if not has(measured, "later_layer", "earlier_layer", "lag", NORM, "structure", "cell"):
        return None
    measured = measured.dropna(subset=["lag", NORM])
    median = measured.groupby(["key", "later_layer", "earlier_layer", "lag"])[NORM].median().reset_index()
    rows = [{"key": key, **_reach(part)} for key, part in median.groupby("key", sort=False)]
    axes = [axis for axis in run.axes(STUDY) if axis in measured]
    cases = measured.drop_duplicates("key")[["key", *axes]]
    return cases.merge(pd.DataFrame(rows), on="key")


def plus(structure: object) -> str:
    """A structure's name as one word of a list: "4 layers + residual"."""
    return str(structure).replace(", ", " + ")


def _reach(part: pd.DataFrame) -> dict[str, float]:
    top, longest = part["later_layer"].max(), part["lag"].max()
    within = part[(part["later_layer"] == top) & (part["earlier_layer"] == top)]
    through = part[(part["later_layer"] == top) & (part["earlier_layer"] == 1) & (part["lag"] >= 0)]
    first = part[(part["later_layer"] == 1) & (part["earlier_layer"] == 1) & (part[NORM] >= FAINT)]
    return {
        "log10_far": float(within.loc[within["lag"] > LAST * longest, NORM].max()),
        "log10_through": float(through[NORM].max()) if top > 1 else np.nan,
        "later_steps": float((first["lag"] < 0).sum()),
        "earlier_steps": float((first["lag"] > 0).sum()),
    }
