"""Does decay predict learnability?  The norm before training against the steps that it took to solve."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, INK, MAX_PANELS, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import groups, most_populated, rows_of
from harness.report.summaries.learning import ENDS, foretold, learnings
from harness.report.words import counted, percent, plain, superscript

FLOOR = -30.0
"""log10 of the norm at which the x-axis begins at the latest: what lies below stands on the edge."""
MOST_CELLS = 6
"""That have a colour of their own; more cannot be told apart."""
OTHERS = "other cells"
KINDS = ["task", "seq_len", "way"]
"""What tells trainings apart of which one may be held against another."""
_MARKERS = dict(zip(ENDS, ("o", "x", "v"), strict=True))


@figure("learning_foretold", question="learning", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = learnings(run)
    if found is None:
        return
    data = found.trainings
    norms = data["log10_norm_before"].to_numpy(float)
    data = data.assign(x=np.maximum(norms, FLOOR), y=data["steps_done"].astype(float))
    told_apart = [part for _, part in groups(data, KINDS) if foretold(part) is not None]
    alike = data[KINDS].drop_duplicates().shape[0] - len(told_apart) if told_apart else 0
    shown = pd.concat(told_apart) if told_apart else data
    settings, left_out = most_populated(shown, KINDS, limit=MAX_PANELS)
    several = [(setting["task"], setting["seq_len"]) for setting in settings]
    cells = [str(entry["cell"]) for entry in most_populated(shown, ["cell"], limit=MOST_CELLS)[0]]
    data = data.assign(shown=data["cell"].where(data["cell"].isin(cells), OTHERS))
    colors = {cell: look.color for cell, look in looks(cells).items()}
    colors |= {OTHERS: GREY} if (~shown["cell"].isin(cells)).any() else {}
    title = "Steps to solve a task, by how far the gradient reached before training"
    drawn, made = panels([settings], columns=3, height=2.7, share_x=True, share_y=False)
    for panel in made:
        part = rows_of(data, panel.content)
        for cell, color in colors.items():
            for end, marker in _MARKERS.items():
                rows = part[(part["shown"] == cell) & (part["end"] == end)]
                panel.axes.scatter(
                    rows["x"], rows["y"], s=26, marker=marker, color=[color], lw=1.2, alpha=0.85
                )
        told = foretold(part)
        note = "" if told is None else f"; foretold {percent(told.share)} of pairs"
        own = panel.content["task"], panel.content["seq_len"]
        way = [label(panel.content["way"])] if several.count(own) > 1 else []
        panel.axes.set_title("\n".join([label(f"{own[0]}, T={plain(own[1])}{note}"), *way]))
        panel.axes.axvline(0.0, color=GREY, lw=1.0, ls=":", zorder=1)
        panel.axes.xaxis.set_major_formatter(lambda value, _: f"10{superscript(value)}")
        panel.axes.set_xlabel("‖∂h_T/∂h₀‖₂ before training" if panel.bottom else "")
        panel.axes.set_ylabel("steps trained" if panel.left else "")
        panel.axes.set_ylim(0, 1.06 * part["y"].max())
    handles = [
        Line2D([], [], color=color, marker="s", ls="", ms=5, label=cell) for cell, color in colors.items()
    ]
    handles += [
        Line2D([], [], color=INK, marker=marker, ls="", ms=5, label=end) for end, marker in _MARKERS.items()
    ]
    legend(drawn, title, handles)
    caption = (
        f"Each mark is one training. Norms below 10{superscript(FLOOR)} stand on the left edge. Foretold: of "
        "all pairs of one that solved and one that did not, those in which the one that solved had the "
        "larger norm."
    )
    if alike:
        caption += f" Left out: {counted(alike, 'panel')} in which every training solved its task, or none."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/learning.csv."
    columns = [
        "task",
        "cell",
        "variant",
        "clipped",
        "seq_len",
        "seed",
        "end",
        "steps_done",
        "log10_norm_before",
    ]
    yield Picture("learning_foretold", title, caption, data[columns], drawn)
