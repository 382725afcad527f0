"""Decay before, along and after training: one panel per network, one line per measured step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.decay_panels import MARGIN
from harness.report.drawing import GREY, INK, MAX_PANELS, Look, legend, lines, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.summaries.training_decay import SHOWN, training_decays
from harness.report.ticks import decades
from harness.report.words import counted, phrase

FLOOR = -40.0
"""log10 at which the y-axis ends at the latest."""
MOST_LINES = 6


@figure("training_decay", question="training_decay", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = training_decays(run)
    if found is None:
        return
    chosen = common(found.curves, found.axes, SHOWN)
    settings, left_out = most_populated(chosen.rows, ["cell", "variant"], limit=MAX_PANELS)
    steps = _some(ascending(chosen.rows["step"].tolist()))
    data = chosen.rows[chosen.rows["step"].isin(steps)]
    data = data.assign(line=data["step"].map(_name))
    palette = {_name(s): Look(c, "", "") for s, c in zip(steps, _colors(len(steps)), strict=True)}
    title = phrase("Gradient decay before, along and after training", chosen.shared)
    drawn, made = panels([settings], columns=3, height=2.75)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="lag", y="log10_median", name="line", palette=palette, lw=1.6)
        for step in (steps[0], steps[-1]):
            _band(panel.axes, part[part["step"] == step], palette[_name(step)].color)
        panel.axes.axhline(FAINT, color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_title(label(phrase(str(panel.content["cell"]), str(panel.content["variant"]))))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("‖∂hₜ/∂hₖ‖₂" if panel.left else "")
    _limits(made[0].axes, data)
    handles = [Line2D([], [], color=look.color, lw=1.8, label=name) for name, look in palette.items()]
    legend(drawn, title, [*handles, Line2D([], [], color=GREY, lw=1.1, ls=":", label="1 %")])
    caption = (
        "Medians over seeds and windows of text that was never learned from; bands, from the 10 % to the "
        "90 % quantile, before and after."
    )
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/training_decay_summary.csv."
    caption += chosen.remark("tables/training_decay_summary.csv")
    yield Picture("training_decay", title, caption, data.drop(columns="line"), drawn)


def _some(steps: list[int]) -> list[int]:
    """The first, the last, and evenly chosen ones between."""
    places = np.unique(np.rint(np.linspace(0, len(steps) - 1, min(MOST_LINES, len(steps)))).astype(int))
    return [steps[place] for place in places]


def _name(step: int) -> str:
    return "before" if step == 0 else f"after {counted(int(step), 'step')}"


def _colors(count: int) -> list[Any]:
    """Before training in ink, then from light to dark."""
    return [INK, *shades(count - 1)] if count > 1 else [INK]


def _band(axes: Axes, rows: pd.DataFrame, color: Any) -> None:
    low, high = (np.maximum(rows[name].to_numpy(float), 2 * FLOOR) for name in ("log10_low", "log10_high"))
    axes.fill_between(rows["lag"], low, high, color=color, alpha=0.14, lw=0)


def _limits(axes: Axes, data: pd.DataFrame) -> None:
    values = data["log10_median"].to_numpy(float)
    finite = values[np.isfinite(values)]
    low, high = max(FLOOR, float(finite.min(initial=-1.0))), float(finite.max(initial=0.5))
    axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    decades(axes)
