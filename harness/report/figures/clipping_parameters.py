"""The parameter gradient's norm before and after clipping, over the threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, Panel, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.clipping import OWN, clippings
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.ticks import log10_axis, plain_power
from harness.report.words import counted, phrase, setting, split_constant

MOST_LINES = 8
BEFORE = (0, (4, 2.5))
_NORMS = ["parameter_norm_unclipped", "parameter_norm_clipped"]


@figure("clipping_parameters", question="clipping", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = clippings(run)
    if found is None:
        return
    rows = pd.DataFrame([{**c.setting, **c.facts} for c in found.curves])
    drawable = rows["threshold"].notna() & (rows["threshold"] > 0) & (rows[_NORMS] > 0).all(axis=1)
    data = rows[drawable & rows["place"].notna()].copy()
    if data.empty:
        return
    data["line"] = data["rule"].astype(str) + " on " + data["place"].astype(str)
    lines_there = data["line"].nunique()
    names = [str(entry["line"]) for entry in most_populated(data, ["line"], limit=MOST_LINES)[0]]
    data = data[data["line"].isin(names)]
    rest = [axis for axis in found.axes if axis not in (*OWN, "backend")]
    varying, constant = split_constant(data, rest)
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS)
    data = pd.concat([rows_of(data, row) for row in settings])
    title = phrase("Norm of the parameter gradient", setting(constant))
    made_figure, made = panels([settings])
    palette = looks(names)
    for panel in made:
        _panel(panel, rows_of(data, panel.content), palette)
    before = Line2D([], [], color=GREY, lw=1.1, ls=BEFORE, label="before clipping")
    legend(made_figure, title, [*(handle(name, look) for name, look in palette.items()), before])
    caption = "Norm over all parameters, medians over seeds. Both axes are logarithmic."
    if len(names) < lines_there:
        caption += f" Of {lines_there} rules and places the {len(names)} that most networks met."
    if left_out:
        caption += f" {counted(left_out, 'further setting')} in tables/clipping_summary.csv."
    yield Picture("clipping_parameters", title, caption, data, made_figure)


def _panel(panel: Panel[Any], data: pd.DataFrame, palette: dict[str, Any]) -> None:
    axes = panel.axes
    lines(axes, data, x="threshold", y="parameter_norm_clipped", name="line", palette=palette, markers=True)
    for norm in data["parameter_norm_unclipped"].unique():
        axes.axhline(norm, color=GREY, lw=1.1, ls=BEFORE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    log10_axis(axes.xaxis, plain_power)
    log10_axis(axes.yaxis, plain_power)
    axes.set_title(label(setting(panel.content)))
    axes.set_xlabel("threshold" if panel.bottom else "")
    axes.set_ylabel("norm after clipping" if panel.left else "")
