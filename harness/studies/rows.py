"""Rows of a measurement as columns, and what is taken out of them where a training diverged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from harness.case import Scalar


class Rows:
    """Columns of one length.  A row has what it is given, and null in all other columns.

    Args:
        names: of the columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.columns: dict[str, list[Scalar]] = {name: [] for name in names}

    def append(self, **row: Scalar) -> None:
        """One row."""
        for name, column in self.columns.items():
            column.append(row.get(name))

    def extend(self, count: int, **rows: Sequence[Scalar]) -> None:
        """`count` rows."""
        for name, column in self.columns.items():
            column.extend(rows.get(name, [None] * count))

    def keep(self, count: int) -> None:
        """The first `count` rows alone."""
        for column in self.columns.values():
            del column[count:]

    def leave_out(self, quantities: Collection[str], *, first: int) -> None:
        """Take out the rows of these quantities that stand for `first` steps or more.

        They are to be measured anew, or are of weights that were given up.
        """
        kept = [
            quantity not in quantities or int(step or 0) < first
            for quantity, step in zip(self.columns["quantity"], self.columns["step"], strict=True)
        ]
        for column in self.columns.values():
            column[:] = [value for value, stays in zip(column, kept, strict=True) if stays]
