"""The loss on held-out sequences over seconds of training: one panel per training, one line per backend."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.learning import loss_of
from harness.report.summaries.time_to_solve import times_to_solve
from harness.report.ticks import log10_axis, plain_power
from harness.report.words import counted, phrase, setting, split_constant


@figure("time_to_solve", question="time_to_solve", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = times_to_solve(run)
    if found is None or found.scores.empty:
        return
    varying, constant = split_constant(found.backends, found.shared)
    settings, left_out = most_populated(found.backends, varying, limit=MAX_PANELS)
    palette = looks(ascending(found.backends["backend"].tolist()))
    spoken = ("task", "cell", "initialization", "forget_bias", "seq_len", "batch_size", "hidden_size")
    same = setting({axis: constant[axis] for axis in spoken if axis in constant})
    title = phrase("Loss on held-out sequences over the time of training", same)
    drawn, made = panels([settings], columns=3, height=2.9, share_x=False, share_y=False)
    for panel in made:
        part = rows_of(found.scores, panel.content)
        lines(panel.axes, part, x="seconds", y="loss", name="backend", palette=palette, lw=1.6, markers=True)
        rows = rows_of(found.backends, panel.content)
        panel.axes.axhline(float(rows["baseline"].iloc[0]), color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_yscale("log")
        panel.axes.set_xlim(left=0)
        log10_axis(panel.axes.yaxis, plain_power)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.set_xlabel("seconds of training")
        panel.axes.set_ylabel(loss_of(rows["task"].iloc[0]))
    handles = [handle(name, look) for name, look in palette.items()]
    handles.append(Line2D([], [], color=GREY, lw=1.1, ls=":", label="knowing nothing"))
    legend(drawn, title, handles)
    caption = "A line ends where its backend solved the task, or its steps were used up."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/time_to_solve_summary.csv."
    yield Picture("time_to_solve", title, caption, found.scores.drop(columns="key"), drawn)
