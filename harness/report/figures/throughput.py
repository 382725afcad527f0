"""Throughput against sequence length: one picture per pass, one panel per cell, one line per backend."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.report.by_cell import by_cell
from harness.report.drawing import legend, lines, looks
from harness.report.escape import file_stem
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, groups
from harness.report.summaries.throughput import throughput
from harness.report.ticks import thousands
from harness.report.words import phrase, setting


@figure("throughput", question="throughput", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = throughput(run)
    if summary is None or not {"cell", "seq_len"} <= set(summary.axes):
        return
    rest = [axis for axis in summary.axes if axis not in ("seq_len", "cell", "pass")]
    rows = summary.frame.dropna(subset=["steps_per_second"])
    for chosen, part in groups(rows, [axis for axis in ("pass",) if axis in summary.axes]):
        yield _picture(run, part, rest, chosen)


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
    legend(layout.figure, layout.title, layout.handles(palette))
    caption = "Steps per second: T·B over the time of one call; higher is faster. Both axes are logarithmic."
    if layout.data["processes"].max() > 1:
        caption += " Bars: 95 % t-interval over processes."
    caption += layout.remark("tables/throughput_summary.csv")
    name = file_stem("_".join(["throughput", *map(str, chosen.values())]))
    return Picture(name, layout.title, caption, layout.data, layout.figure)
