"""Rows of a training as columns, and what is taken out of them where a training diverged."""

from __future__ import annotations

from collections.abc import Collection

from harness.case import Scalar

Columns = dict[str, list[Scalar]]


def leave_out(columns: Columns, quantities: Collection[str], *, first: int) -> None:
    """Take out the rows of these quantities that stand for `first` steps or more.

    They are to be measured anew, or are of weights that were given up.
    """
    kept = [
        quantity not in quantities or int(step or 0) < first
        for quantity, step in zip(columns["quantity"], columns["step"], strict=True)
    ]
    for column in columns.values():
        column[:] = [value for value, stays in zip(column, kept, strict=True) if stays]
