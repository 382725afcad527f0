"""The layout that three studies share: a panel per cell and setting, T to the right, a line per backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.drawing import MAX_PANELS, Look, Panel, handle, panels
from harness.report.escape import label
from harness.report.summaries.grouping import Setting, ascending, groups, most_populated, rows_of
from harness.report.ticks import log2_sizes, log10_axis
from harness.report.words import counted, phrase, setting, split_constant


@dataclass(frozen=True)
class ByCell:
    """A figure laid out, still to be drawn in.

    Args:
        title: of the figure: what it is called, and what holds in all panels.
        data: the rows that the panels show.
        left_out: how many settings found no room.
    """

    figure: Figure
    panels: list[Panel[Any]]
    title: str
    data: pd.DataFrame
    y_label: str
    left_out: int

    def filled(self) -> Iterator[tuple[Axes, pd.DataFrame]]:
        """Each panel's axes, labelled, and the rows to draw in it."""
        for panel in self.panels:
            row, cell = panel.content
            panel.axes.set_title(label(phrase(str(cell), setting(row))))
            panel.axes.set_xlabel("sequence length T (steps)" if panel.bottom else "")
            panel.axes.set_ylabel(self.y_label if panel.left else "")
            yield panel.axes, rows_of(self.data, {**row, "cell": cell})

    def handles(self, palette: dict[str, Look]) -> list[Line2D]:
        """Legend entries of the backends that are drawn."""
        drawn = set(self.data["backend"])
        return [handle(name, look) for name, look in palette.items() if name in drawn]

    def remark(self, table: str) -> str:
        """Where to find the settings that found no room; empty where all did."""
        return f" {counted(self.left_out, 'further setting')} in {table}." if self.left_out else ""


def by_cell(
    data: pd.DataFrame, axes: Sequence[str], *, title: str, y_label: str, y_ticks: Callable[[float], str]
) -> ByCell:
    """Lay out the panels: settings (combinations of `axes` that vary) as rows, cells within a row.

    Args:
        data: rows with cell, backend, seq_len and `axes`.
        axes: what else may vary.
        title: the beginning of the title; what is constant is appended.
        y_label: with its unit.
        y_ticks: how a value on the logarithmic y-axis is written.
    """
    varying, constant = split_constant(data, axes)
    contents, left_out = _contents(data, varying)
    shown = pd.concat([rows_of(data, panels_of_row[0][0]) for panels_of_row in contents])
    full_title = phrase(title, setting(constant))
    figure, made = panels(contents)
    made[0].axes.set_yscale("log")  # of all of them: the axis is shared
    log10_axis(made[0].axes.yaxis, y_ticks)
    log2_sizes(made[0].axes, ascending(shown["seq_len"].tolist()))
    return ByCell(figure, made, full_title, shown, y_label, left_out)


def _contents(data: pd.DataFrame, varying: Sequence[str]) -> tuple[list[list[tuple[Setting, Any]]], int]:
    """As many settings as there is room for, each with the cells that it has, and how many are left out.

    A setting of one length is a column of points: it is drawn only where no setting has more.
    """
    cells = list(dict.fromkeys(data["cell"]))
    found = [(setting, part) for setting, part in groups(data, varying)]
    long = [part for _, part in found if part["seq_len"].nunique() > 1]
    drawable = pd.concat(long) if long else data
    for limit in range(MAX_PANELS, 0, -1):
        rows, _ = most_populated(drawable, varying, limit=limit)
        own = [set(rows_of(data, row)["cell"]) for row in rows]
        contents = [
            [(row, cell) for cell in cells if cell in has] for row, has in zip(rows, own, strict=True)
        ]
        if limit == 1 or sum(map(len, contents)) <= MAX_PANELS:
            break
    return contents, len(found) - len(contents)
