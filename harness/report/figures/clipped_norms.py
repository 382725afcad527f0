"""What each rule leaves of a parameter gradient's norm: before and after, one line per rule.

A rule that bounds the norm is level at its threshold; one that divides by the square of the norm falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, Panel, handle, legend, lines, looks, panels
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.clipping import STUDY
from harness.report.summaries.grouping import ascending, has
from harness.report.ticks import log10_axis, plain_power
from harness.report.words import plain

X, Y = "parameter_norm_unclipped", "parameter_norm_clipped"
FEWEST = 3
"""Rules beside each other: below that there is no figure."""
UNCHANGED = (0, (4, 2.5))


@figure("clipped_norms", question="clipping", order=15)
def draw(run: Run) -> Iterator[Picture]:
    measured = run.measured(STUDY)
    if not has(measured, "rule", "place", "threshold", X, Y):
        return
    cases = measured[(measured["place"] == "parameters") & (measured["rule"] != "none")].drop_duplicates(
        "key"
    )
    norms = cases[[X, Y]].to_numpy(float)
    cases = cases[(np.isfinite(norms) & (norms > 0)).all(axis=1)]
    tried = cases.groupby("threshold")["rule"].nunique()
    thresholds = [c for c in ascending(cases["threshold"].dropna().tolist()) if tried[c] >= FEWEST]
    if not thresholds:
        return
    # each norm as the network and its seed have it: a gradient met by many rules
    every = cases[cases["threshold"].isin(thresholds)]
    common = every.groupby(X)["rule"].nunique()
    data = every[every[X].map(common) == every["rule"].nunique()].sort_values(X)
    if data.empty:
        return
    palette = looks(list(dict.fromkeys(every["rule"])))
    drawn, made = panels([thresholds], columns=3, height=3.0)
    for panel in made:
        _panel(panel, data[data["threshold"] == panel.content], palette)
    unchanged = Line2D([], [], color=GREY, lw=1.1, ls=UNCHANGED, label="unclipped")
    title = "What each rule leaves of the parameter gradient's norm"
    legend(drawn, title, [*(handle(name, look) for name, look in palette.items()), unchanged])
    caption = (
        "One point per gradient: each network and seed on which every rule was tried. Both axes are "
        "logarithmic; rules that clip the norm to the threshold cover one another."
    )
    columns = ["rule", "threshold", X, Y]
    yield Picture("clipped_norms", title, caption, data[columns].reset_index(drop=True), drawn)


def _panel(panel: Panel[Any], data: pd.DataFrame, palette: dict[str, Any]) -> None:
    axes = panel.axes
    lines(axes, data, x=X, y=Y, name="rule", palette=palette, markers=True, lw=1.4)
    ends = np.array([data[X].min(), data[X].max()], float)
    axes.plot(ends, ends, color=GREY, lw=1.1, ls=UNCHANGED, zorder=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    log10_axis(axes.xaxis, plain_power)
    log10_axis(axes.yaxis, plain_power)
    axes.set_title(f"threshold {plain(panel.content)}")
    axes.set_xlabel("norm before")
    axes.set_ylabel("norm after" if panel.left else "")
