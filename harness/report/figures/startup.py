"""The way to the first result: a bar per backend and state of its compiled code, cut into its stages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.drawing import INK, legend, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import groups, rows_of
from harness.report.summaries.startup import STAGES, startup
from harness.report.words import counted, missing, phrase, setting, significant, split_constant

NAMES = dict(zip(STAGES, ("interpreter", "imports", "compile or load", "rest"), strict=True))
MAX_PANELS = 4


@figure("startup", question="startup", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = startup(run)
    if summary is None:
        return
    varying, constant = split_constant(summary.frame, summary.axes)
    settings = [chosen for chosen, _ in groups(summary.frame, varying)]
    shown = settings[:MAX_PANELS]
    data = pd.concat([rows_of(summary.frame, chosen) for chosen in shown])
    data = data.assign(bar=[_bar(row["backend"], row["cache"]) for _, row in data.iterrows()])
    order = data.groupby("bar")["first_result_seconds"].max().sort_values().index.tolist()
    drawn, made = panels([shown], columns=2, height=0.7 + 0.26 * len(order))
    colors = dict(zip(STAGES, shades(len(STAGES)), strict=True))
    longest = data["first_result_seconds"].max()
    for panel in made:
        _bars(panel.axes, rows_of(data, panel.content), order, colors, longest)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.set_xlabel("seconds" if panel.bottom else "")
        panel.axes.set_xlim(0, 1.12 * longest)
    title = phrase("From the start of a process to its first result", setting(constant))
    handles = [Line2D([], [], ls="none", marker="s", color=colors[s], label=NAMES[s]) for s in STAGES]
    legend(drawn, title, handles)
    caption = (
        "Means over starts, each a process of its own; behind each bar its length in seconds. Cold: no "
        "compiled code on disk yet, warm: what the cold start left there. Rest: bringing the data into the "
        "backend's form, and the first call without what it compiled."
    )
    if len(settings) > len(shown):
        left_out = counted(len(settings) - len(shown), "further setting")
        caption += f" {left_out} in tables/startup_summary.csv."
    yield Picture("startup", title, caption, data, drawn)


def _bar(backend: str, cache: str) -> str:
    return backend if cache == "none" else f"{backend}, {cache}"


def _bars(
    axes: Axes, data: pd.DataFrame, order: list[str], colors: dict[str, object], longest: float
) -> None:
    for place, bar in enumerate(order):
        left = 0.0
        for _, row in data[data["bar"] == bar].iterrows():
            for stage in STAGES:
                seconds = 0.0 if missing(row[stage]) else max(0.0, row[stage])
                axes.barh(place, seconds, left=left, height=0.7, color=colors[stage], lw=0)
                left += seconds
            axes.text(left + 0.01 * longest, place, significant(left, 2), va="center", fontsize=8, color=INK)
    axes.set_yticks(np.arange(len(order)), [label(name) for name in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
