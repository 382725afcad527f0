"""How the loss on held-out sequences falls: one panel per task and length, one line per cell and start."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.summaries.learning import CLIPPING, learnings
from harness.report.summaries.slices import common
from harness.report.ticks import log10_axis
from harness.report.words import counted, phrase, plain, significant

MOST_LINES = 8


@figure("learning_curves", question="learning", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = learnings(run)
    if found is None or found.scores.empty:
        return
    shown = ("task", "seq_len", "cell", "initialization", "gain", "forget_bias", *CLIPPING)
    chosen = common(found.scores, found.axes, shown)
    data = chosen.rows
    several = data["clipped"].nunique() > 1
    data = data.assign(
        line=[
            phrase(str(row["cell"]), str(row["variant"]), str(row["clipped"]) if several else "")
            for row in data.to_dict("records")
        ]
    )
    settings, left_out = most_populated(data, ["task", "seq_len"], limit=MAX_PANELS)
    names = [str(entry["line"]) for entry in most_populated(data, ["line"], limit=MOST_LINES)[0]]
    palette = looks(names)
    title = phrase("Loss on held-out sequences along training", chosen.shared)
    drawn, made = panels([settings], columns=3, height=2.6, share_y=False, share_x=False)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="step", y="loss", name="line", palette=palette, lw=1.6)
        baseline = rows_of(found.settings, panel.content)["baseline"].iloc[0]
        panel.axes.axhline(baseline, color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_yscale("log")
        log10_axis(panel.axes.yaxis, significant)
        panel.axes.set_title(label(f"{panel.content['task']}, T={plain(panel.content['seq_len'])}"))
        panel.axes.set_xlabel("training step")
        panel.axes.set_ylabel("loss" if panel.left else "")
    handles = [handle(name, look, marker=False) for name, look in palette.items()]
    handles.append(Line2D([], [], color=GREY, lw=1.1, ls=":", label="knowing nothing"))
    legend(drawn, title, handles)
    caption = "Medians over seeds."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/learning_summary.csv."
    if len(names) < data["line"].nunique():
        caption += f" Of {data['line'].nunique()} networks the {len(names)} with most trainings."
    caption += chosen.remark("tables/learning_summary.csv")
    yield Picture("learning_curves", title, caption, data.drop(columns="line"), drawn)
