"""The cost of structures: time over that of one layer of as many parameters, one mark per backend."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, Look, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.summaries.structures import SINGLE, structures
from harness.report.words import counted, phrase, setting, split_constant, times

MAX_PANELS = 6
SPREAD = 0.5
"""Of the distance between two structures: how far the backends' marks lie apart."""


@figure("structures", question="structures", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = structures(run)
    if summary is None:
        return
    data = summary.frame[(summary.frame["structure"] != SINGLE) & summary.frame["over_equal"].notna()]
    if data.empty:
        return
    varying, constant = split_constant(data, summary.axes)
    varying = [axis for axis in varying if axis != "equal_hidden_size"]
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS)
    shown = pd.concat([rows_of(data, chosen) for chosen in settings])
    names = list(dict.fromkeys(shown["structure"]))
    palette = looks(sorted(set(shown["backend"])))
    drawn, made = panels([settings], columns=3, height=0.9 + 0.34 * len(names))
    for panel in made:
        _marks(panel.axes, rows_of(shown, panel.content), names, palette)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.set_xlabel("time over that of one layer of as many parameters" if panel.bottom else "")
    _ticks(made[0].axes, shown)
    title = phrase("What structures cost at the same number of parameters", setting(constant))
    handles = [
        Line2D([], [], ls="", marker=look.marker, color=look.color, label=name)
        for name, look in palette.items()
    ]
    legend(drawn, title, handles)
    caption = (
        "Geometric mean over processes of the ratio within a replicate, with its 95 % interval, which may "
        "run off the panel; on the line both take the same time."
    )
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/structures_summary.csv."
    yield Picture("structures", title, caption, shown, drawn)


def _marks(axes: Axes, rows: pd.DataFrame, names: list[str], palette: dict[str, Look]) -> None:
    axes.axvline(1.0, color=GREY, lw=1.1, ls=":", zorder=1)
    offsets = dict(zip(palette, np.linspace(-SPREAD / 2, SPREAD / 2, len(palette) + 2)[1:-1], strict=True))
    for row in rows.to_dict("records"):
        look, place = palette[row["backend"]], names.index(row["structure"]) + offsets[row["backend"]]
        if np.isfinite(row["over_equal_low"]):
            axes.plot([row["over_equal_low"], row["over_equal_high"]], [place] * 2, color=look.color, lw=1.3)
        axes.plot([row["over_equal"]], [place], look.marker, color=look.color, ms=5.5, mec="white", mew=0.5)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def _ticks(axes: Axes, shown: pd.DataFrame) -> None:
    """Powers of two; an interval may leave the panel, a mark may not."""
    axes.set_xscale("log", base=2)
    low, high = shown["over_equal"].min(), shown["over_equal"].max()
    powers = np.arange(np.floor(np.log2(min(low, 1.0) / 1.1)), np.ceil(np.log2(max(high, 1.0) * 1.1)) + 1)
    axes.set_xlim(2.0 ** powers[0], 2.0 ** powers[-1])
    axes.set_xticks(2.0**powers, [times(value) for value in 2.0**powers])
    axes.minorticks_off()
