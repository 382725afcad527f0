"""Peak memory against sequence length: one picture per pass, one panel per cell, one line per backend."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.report.by_cell import by_cell
from harness.report.drawing import legend, lines, looks
from harness.report.escape import file_stem
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, groups
from harness.report.summaries.memory import memory
from harness.report.ticks import plain_power
from harness.report.words import counted, phrase, setting

MEBIBYTE = 2**20


@figure("memory", question="memory", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = memory(run)
    if summary is None or "cell" not in summary.axes:
        return
    rest = [axis for axis in summary.axes if axis not in ("cell", "pass")]
    for chosen, part in groups(summary.peaks, [axis for axis in ("pass",) if axis in summary.axes]):
        if (part["peak_bytes"] > 0).any():
            yield _picture(run, part, rest, chosen)


def _picture(run: Run, part: pd.DataFrame, axes: list[str], chosen: Setting) -> Picture:
    palette = looks(run.backends)
    drawable = part[part["peak_bytes"] > 0]
    drawable = drawable.assign(peak_mebibytes=drawable["peak_bytes"] / MEBIBYTE)
    layout = by_cell(
        drawable,
        axes,
        title=phrase("Peak memory", setting(chosen)),
        y_label="peak memory (MiB)",
        y_ticks=plain_power,
    )
    for axes_, rows in layout.filled():
        lines(axes_, rows, x="seq_len", y="peak_mebibytes", name="backend", palette=palette, markers=True)
    legend(layout.figure, layout.title, layout.handles(palette))
    caption = "Peak of one call above what was in use before it. Both axes are logarithmic."
    nothing = len(part) - len(drawable)
    if nothing:
        caption += f" {counted(nothing, 'peak')} of 0 MiB (less than could be seen) cannot be drawn here."
    caption += layout.remark("tables/memory.csv")
    name = file_stem("_".join(["memory", *map(str, chosen.values())]))
    return Picture(name, layout.title, caption, layout.data, layout.figure)
