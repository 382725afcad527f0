"""Achieved against the library's own rate: each case a point, on the diagonal both are as fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from harness.report.drawing import GREY, MAX_PANELS, Look, handle, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.statistics import Floats
from harness.report.summaries.grouping import groups, rows_of
from harness.report.summaries.limits import limits
from harness.report.ticks import log10_axis, plain_power
from harness.report.words import counted, phrase, setting, split_constant

SHARES = (1.0, 0.1, 0.01)
"""The lines drawn: this share of the library's rate."""


@figure("limits", question="limits", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = limits(run)
    if summary is None or summary.frame.empty:
        return
    panel_axes = [axis for axis in ("pass", "cell") if axis in summary.axes]
    data = summary.frame.assign(
        limit_gflops=summary.frame["limit_flop_per_second"] / 1e9,
        achieved_gflops=summary.frame["flop_per_second"] / 1e9,
    )
    rows = [
        [{**row, **cell} for cell, _ in groups(part, panel_axes[1:])]
        for row, part in groups(data, panel_axes[:1])
    ]
    rows, left_out = _fitting(rows)
    drawn, made = panels(rows, height=2.6)
    palette = looks(run.backends)
    ends = np.array([data["limit_gflops"].min() / 1.6, data["limit_gflops"].max() * 1.6])
    for panel in made:
        _panel(panel.axes, rows_of(data, panel.content), palette, ends)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.set_xlabel("library's rate at its shapes (GFLOP/s)" if panel.bottom else "")
        panel.axes.set_ylabel("achieved (GFLOP/s)" if panel.left else "")
    _, constant = split_constant(data, [a for a in summary.axes if a not in panel_axes])
    title = phrase("Achieved against the library's rate", setting(constant))
    handles = [handle(name, look) for name, look in palette.items() if (data["backend"] == name).any()]
    for entry in handles:
        entry.set_linestyle("none")
    legend(drawn, title, handles)
    caption = (
        "Each point is one case, over its matrix products at the rate that this machine's own library has at "
        "the same shapes, or its memory traffic where that takes longer (then the point is hollow). Lines: "
        "100 %, 10 % and 1 % of that rate; both axes are logarithmic."
    )
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/limits_summary.csv."
    yield Picture("limits", title, caption, data, drawn)


def _fitting(rows: list[list[Any]]) -> tuple[list[list[Any]], int]:
    """As many panels of each row as the figure has room for, and how many are left out."""
    room = max(1, MAX_PANELS // len(rows))
    return [row[:room] for row in rows], sum(max(0, len(row) - room) for row in rows)


def _panel(axes: Axes, data: pd.DataFrame, palette: dict[str, Look], ends: Floats) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for share in SHARES:
        axes.plot(
            ends, share * ends, color=GREY, lw=1.1 if share == 1 else 0.7, ls="-" if share == 1 else ":"
        )
        start = (ends[0], share * ends[0])
        axes.annotate(f"{100 * share:g} %", start, (3, 5), textcoords="offset points", fontsize=7, color=GREY)
    for (name, bound), part in data.groupby(["backend", "bound"], sort=True):
        look = palette[str(name)]
        axes.plot(
            part["limit_gflops"],
            part["achieved_gflops"],
            ls="none",
            marker=look.marker,
            ms=5,
            color=look.color,
            mfc="none" if bound == "bandwidth" else look.color,
            alpha=0.85,
        )
    for axis in (axes.xaxis, axes.yaxis):
        log10_axis(axis, plain_power)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # limits seldom span a decade
    axes.set_xlim(*ends)
