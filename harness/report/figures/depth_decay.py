"""Decay through time and depth: from the top layer down to the first, one line per structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.depth_decay import SHOWN, depth_decays
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.ticks import decades
from harness.report.words import counted, phrase, split_constant

FLOOR = -40.0
"""log10 at which the y-axis ends at the latest."""
FAINT = -2.0
"""log10 of 1 %."""
MAX_PANELS = 6


@figure("depth_decay", question="depth_decay", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = depth_decays(run)
    if found is None:
        return
    chosen = common(found.curves, found.axes, SHOWN)
    data = chosen.rows[chosen.rows["top"] & (chosen.rows["earlier_layer"] == 1)]
    varying, constant = split_constant(data, ["cell", "variant"])
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS)
    palette = looks(list(dict.fromkeys(data["structure"])))
    drawn, made = panels([settings], columns=3, height=3.4)
    for panel in made:
        rows = rows_of(data, panel.content)
        lines(panel.axes, rows, x="lag", y="log10_median", name="structure", palette=palette, lw=1.5)
        panel.axes.axhline(FAINT, color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_title(label(phrase(*map(str, panel.content.values()))))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("‖∂hᴸₜ/∂h¹ₖ‖₂" if panel.left else "")
    values = data["log10_median"].to_numpy(float)
    finite = values[np.isfinite(values)]
    low, high = max(FLOOR, finite.min(initial=-1.0)), finite.max(initial=0.5)
    made[0].axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    decades(made[0].axes)
    title = phrase("Decay from the top layer to the first", *map(str, constant.values()), chosen.shared)
    handles = [handle(name, look, marker=False) for name, look in palette.items()]
    legend(drawn, title, [*handles, Line2D([], [], color=GREY, lw=1.1, ls=":", label="1 %")])
    caption = (
        "Median over seeds and samples, L the top layer. A skip of s steps makes paths s times as short: its "
        "line is a saw-tooth of s steps. Lags below 0: steps ahead, where the structure reads both ways."
    )
    if (values < FLOOR).any():
        caption += " Smaller norms are in the table."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/depth_decay_summary.csv."
    remark = chosen.remark("tables/depth_decay_summary.csv")
    yield Picture("depth_decay", title, caption + remark, data, drawn)
