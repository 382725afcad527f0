"""How the loss on held-out sequences falls: one panel per task and length, one line per cell and start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import most_populated, records, rows_of
from harness.report.summaries.learning import CLIPPING, learnings, loss_of
from harness.report.summaries.slices import common
from harness.report.ticks import log10_axis, plain_power
from harness.report.words import counted, phrase, plain, split_constant

MOST_LINES = 8
NAMED = ("cell", "variant", "clipped")
"""What names a line; what all lines share stands in the title."""


@figure("learning_curves", question="learning", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = learnings(run)
    if found is None or found.scores.empty:
        return
    shown = ("task", "seq_len", "cell", "initialization", "gain", "forget_bias", *CLIPPING)
    chosen = common(found.scores, found.axes, shown)
    data = chosen.rows
    several = data.assign(line=_lines(data, NAMED))
    fixed = {axis: data[axis].iloc[0] for axis in found.axes if axis not in shown}
    names = _best_learners(rows_of(found.settings, fixed), several)
    kept = several["line"].isin(names)
    varying, constant = split_constant(data[kept], NAMED)
    data = data[kept].assign(line=_lines(data[kept], varying))
    settings, left_out = most_populated(data, ["task", "seq_len"], limit=MAX_PANELS)
    palette = looks(list(dict.fromkeys(data["line"])))
    shared = [str(constant[name]) for name in NAMED if name in constant]
    title = phrase("Loss on held-out sequences along training", *shared, chosen.shared)
    losses = {loss_of(own["task"]) for own in settings}
    drawn, made = panels([settings], columns=3, height=2.6, share_y=False, share_x=False)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="step", y="loss", name="line", palette=palette, lw=1.6)
        baseline = rows_of(found.settings, panel.content)["baseline"].iloc[0]
        panel.axes.axhline(baseline, color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_yscale("log")
        log10_axis(panel.axes.yaxis, plain_power)
        panel.axes.set_title(label(f"{panel.content['task']}, T={plain(panel.content['seq_len'])}"))
        panel.axes.set_xlabel("training step")
        named = panel.left or len(losses) > 1
        panel.axes.set_ylabel(loss_of(panel.content["task"]) if named else "")
    handles = [handle(name, look, marker=False) for name, look in palette.items()]
    handles.append(Line2D([], [], color=GREY, lw=1.1, ls=":", label="knowing nothing"))
    legend(drawn, title, handles)
    caption = "Medians over seeds."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/learning_summary.csv."
    if len(names) < several["line"].nunique():
        of = f"Of {several['line'].nunique()} networks the {len(names)}"
        caption += f" {of} that solve most often, of each cell its best."
    caption += chosen.remark("tables/learning_summary.csv")
    yield Picture("learning_curves", title, caption, data.drop(columns="line"), drawn)


def _lines(rows: pd.DataFrame, varying: Sequence[str]) -> list[str]:
    return [phrase(*(str(row[name]) for name in varying)) or str(row["cell"]) for row in records(rows)]


def _best_learners(settings: pd.DataFrame, data: pd.DataFrame) -> list[str]:
    """The lines that solve the largest share of their trainings, of equal ones those with most trainings.

    The best of each cell comes before the second of any, so that none is missing.
    """
    settings = settings.assign(line=_lines(settings, NAMED))
    trained = settings.groupby("line")[["trainings", "solved"]].sum()
    lines = data.drop_duplicates("line")[["line", "cell"]].join(trained, on="line")
    lines["share"] = lines["solved"] / lines["trainings"]
    ranked = lines.sort_values(["share", "trainings"], ascending=False, kind="stable")
    ranked["place"] = ranked.groupby("cell").cumcount()
    kept = set(ranked.sort_values("place", kind="stable")["line"].head(MOST_LINES))
    return [str(name) for name in lines["line"] if name in kept]
