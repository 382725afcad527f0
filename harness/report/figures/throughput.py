"""Throughput against sequence length: one picture per pass, one panel per cell, one line per backend."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.report.by_cell import ByCell, by_cell
from harness.report.drawing import legend, lines, looks
from harness.report.escape import file_stem
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, groups
from harness.report.summaries.throughput import throughput
from harness.report.ticks import log10_axis, thousands
from harness.report.words import phrase, setting

ROOM = 2.0
"""How far the axis goes below the slowest point and above the fastest: so many times."""


@figure("throughput", question="throughput", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = throughput(run)
    if summary is None or not {"cell", "seq_len"} <= set(summary.axes):
        return
    rest = [axis for axis in summary.axes if axis not in ("seq_len", "cell", "pass")]
    rows = summary.frame.dropna(subset=["steps_per_second"])
    for chosen, part in groups(rows, [axis for axis in ("pass",) if axis in summary.axes]):
        yield _picture(run, part, rest, chosen)


def _frame(layout: ByCell) -> bool:
    """Limit the axis to what the points need: an interval from two processes may reach over many decades.

    Returns:
        Whether a bar runs out of it.
    """
    points = layout.data.loc[layout.data["steps_per_second"] > 0, "steps_per_second"]
    if points.empty:
        return False
    low, high = float(points.min()) / ROOM, float(points.max()) * ROOM
    for panel in layout.panels:
        panel.axes.set_autoscaley_on(False)
    layout.panels[0].axes.set_ylim(low, high)  # of all of them: the axis is shared
    log10_axis(layout.panels[0].axes.yaxis, thousands)
    beyond = (layout.data["steps_per_second_low"] < low) | (layout.data["steps_per_second_high"] > high)
    return bool(beyond.any())


def _picture(run: Run, part: pd.DataFrame, axes: list[str], chosen: Setting) -> Picture:
    palette = looks(run.backends)
    layout = by_cell(
        part, axes, title=phrase("Throughput", setting(chosen)), y_label="steps per second", y_ticks=thousands
    )
    for axes_, rows in layout.filled():
        lines(axes_, rows, x="seq_len", y="steps_per_second", name="backend", palette=palette, markers=True)
        known = rows.dropna(subset=["steps_per_second_low"])
        if not known.empty:
            low, high = known["steps_per_second_low"], known["steps_per_second_high"]
            colors = [palette[name].color for name in known["backend"]]
            axes_.vlines(known["seq_len"], low, high, colors=colors)
    cut = _frame(layout)
    legend(layout.figure, layout.title, layout.handles(palette))
    caption = "Steps per second: T·B over the time of one call; higher is faster. Both axes are logarithmic."
    if layout.data["processes"].max() > 1:
        caption += " Bars: 95 % t-interval over processes"
        caption += ", cut off where they run out of the frame." if cut else "."
    caption += layout.remark("tables/throughput_summary.csv")
    name = file_stem("_".join(["throughput", *map(str, chosen.values())]))
    return Picture(name, layout.title, caption, layout.data, layout.figure)
