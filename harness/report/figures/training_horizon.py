"""Along training: how far the gradient reaches, how fast it decays, and what the loss does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.drawing import GREY, handle, legend, lines, looks, panels
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.slices import common
from harness.report.summaries.training_decay import SHOWN, training_decays
from harness.report.words import phrase, split_constant

_PANELS = {
    "horizon": "1 % horizon (steps)",
    "nats_per_step": "rate (nats per step)",
    "held_out_loss": "loss (nats per character)",
}


@figure("training_horizon", question="training_decay", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = training_decays(run)
    if found is None or found.along["step"].nunique() < 2:
        return
    chosen = common(found.along, found.axes, SHOWN)
    varying, constant = split_constant(chosen.rows, ["cell", "variant"])
    names = varying or ["cell"]
    beyond = chosen.rows["horizon_1_percent_steps"].isna()
    data = chosen.rows.assign(
        line=chosen.rows[names].agg(", ".join, axis=1),
        horizon=chosen.rows["horizon_1_percent_steps"].where(~beyond, chosen.rows["largest_lag"]),
        beyond=beyond,
    )
    title = phrase("Along training", str(constant.get("variant", "")), chosen.shared)
    palette = looks(list(dict.fromkeys(data["line"])))
    drawn, made = panels([list(_PANELS)], columns=3, share_y=False, height=2.9)
    for panel in made:
        rows = data[np.isfinite(data[panel.content])]
        lines(panel.axes, rows, x="step", y=panel.content, name="line", palette=palette, markers=True, lw=1.6)
        if panel.content == "horizon":
            _beyond(panel.axes, rows[rows["beyond"]])
        if panel.content == "nats_per_step":
            panel.axes.axhline(0.0, color=GREY, lw=1.0, zorder=1)
        _steps(panel.axes, sorted(set(data["step"])))
        panel.axes.set_title(_PANELS[panel.content])
        panel.axes.set_xlabel("training step")
        panel.axes.set_ylabel("")
    handles = [handle(name, look) for name, look in palette.items()]
    if beyond.any():
        handles.append(Line2D([], [], ls="", marker="^", mfc="white", mec=GREY, ms=8, label="beyond T"))
    legend(drawn, title, handles)
    caption = (
        "Over seeds and windows of held-out text: the lag from which on the median norm stays at or below "
        "1 %, the rate of the decay, and the loss on that text. The steps are on a logarithmic axis."
    )
    data = data.drop(columns=["line", "rule"])
    yield Picture(
        "training_horizon", title, caption + chosen.remark("tables/training_decay.csv"), data, drawn
    )


def _beyond(axes: Axes, rows: pd.DataFrame) -> None:
    axes.plot(rows["step"], rows["horizon"], ls="", marker="^", mfc="white", mec=GREY, ms=8, zorder=4)


def _steps(axes: Axes, steps: list[int]) -> None:
    """A logarithmic axis that holds step 0 too."""
    axes.set_xscale("symlog", base=2, linthresh=1)
    every = max(1, -(-len(steps) // 7))
    ticks = sorted({steps[0], *steps[::-1][::every]})
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
