"""Parity: the largest error of each backend against the float64 reference, held against its tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import has

STUDY = "parity"
OUTPUTS, GRADIENTS = "outputs", "gradients"


@dataclass(frozen=True)
class Parity:
    """Args:
    rows: one row per case and quantity: relative_error, tolerance, `kind` (outputs or gradients) and
        `agrees`: an error that is no number does not agree.
    axes: the study's axes.
    """

    rows: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def parity(run: Run) -> Parity | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "relative_error", "tolerance", "backend", "cell", "seq_len"):
        return None
    rows = measured.dropna(subset=["quantity"]).copy()
    gradient = rows["quantity"].astype(str).str.startswith("grad_")
    rows["kind"] = gradient.map({True: GRADIENTS, False: OUTPUTS})
    rows["agrees"] = rows["relative_error"] <= rows["tolerance"]
    return None if rows.empty else Parity(rows, run.axes(STUDY))
