"""A slice of a study: the rows that share one value of every axis but those that a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.words import counted, setting

UNSPOKEN = ("backend", "measurements", "samples", "threshold", "grid", "check_every")
"""Axes that a title does not name: how it was measured, which the table's caption says."""


@dataclass(frozen=True)
class Slice:
    """Args:
    rows: those of the combination with the most cases.
    shared: what they share, in words.
    others: how many other combinations there are.
    """

    rows: pd.DataFrame
    shared: str
    others: int

    def remark(self, table: str) -> str:
        """Where the other combinations are; empty where there are none."""
        return f" {counted(self.others, 'other combination')} in {table}." if self.others else ""


def common(frame: pd.DataFrame, axes: Sequence[str], varying: Sequence[str]) -> Slice:
    """The slice with the most cases; `axes` are all of the study, `varying` those left free."""
    fixed = [axis for axis in axes if axis not in varying]
    (chosen,), others = most_populated(frame, fixed, limit=1)
    words = setting({axis: value for axis, value in chosen.items() if axis not in UNSPOKEN})
    return Slice(rows_of(frame, chosen), words, others)
