"""Clipping before and after: ‖dL/dh_k‖ over the distance to the end, one line per threshold."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.decay_panels import FLOOR, MARGIN
from harness.report.drawing import INK, Look, legend, lines, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.clipping import OWN, Clipped, clippings, to_frame
from harness.report.summaries.grouping import ascending, matches, most_populated
from harness.report.ticks import decades
from harness.report.words import counted, missing, phrase, plain, setting, split_constant

MAX_ROWS, MAX_PANELS = 3, 15
TITLE = 24
"""Letters of a line above a panel."""


@figure("clipping", question="clipping", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = clippings(run)
    if found is None:
        return
    settings = pd.DataFrame([clipped.setting for clipped in found.curves], columns=found.axes)
    rest = [axis for axis in found.axes if axis not in (*OWN, "backend")]
    varying, constant = split_constant(settings, rest)
    rows, left_out = most_populated(settings, varying, limit=MAX_ROWS)
    contents = [_row(found.curves, row) for row in rows]
    while len(contents) > 1 and sum(map(len, contents)) > MAX_PANELS:
        rows, left_out = most_populated(settings, varying, limit=len(contents) - 1)
        contents = [_row(found.curves, row) for row in rows]
    drawn = [clipped for row in contents for _, part in row for clipped in part]
    thresholds = ascending([c.setting["threshold"] for c in drawn if not missing(c.setting["threshold"])])
    colors = dict(zip(thresholds, shades(len(thresholds)), strict=True))
    title = phrase("Clipping, before and after", setting(constant))
    made_figure, made = panels(contents, columns=5)
    for panel in made:
        name, part = panel.content
        _panel(panel.axes, part, colors)
        panel.axes.set_title(name)
        panel.axes.set_xlabel("t − k, steps before the end" if panel.bottom else "")
        panel.axes.set_ylabel("‖dL/dhₖ‖₂" if panel.left else "")
    _limits(made[0].axes, drawn)
    legend(made_figure, title, _handles(colors))
    caption = "Median over the seeds. One line per threshold; where only one line is seen, they coincide."
    if any(np.isneginf(clipped.after.median).any() for clipped in drawn):
        caption += " Where a line ends, nothing of the gradient is left."
    if left_out:
        caption += f" {counted(left_out, 'further setting')} in tables/clipping_summary.csv."
    yield Picture("clipping", title, caption, to_frame(drawn), made_figure)


def _row(curves: Sequence[Clipped], row: dict[Any, Any]) -> list[tuple[str, list[Clipped]]]:
    """The panels of one setting: one per rule and place; a place where no rule changed a curve has one."""
    by_place: dict[str, dict[str, list[Clipped]]] = {}
    for clipped in curves:
        if matches(clipped.setting, row):
            rules = by_place.setdefault(str(clipped.setting["place"]), {})
            rules.setdefault(clipped.rule, []).append(clipped)
    found = []
    for place, rules in by_place.items():
        everyone = [clipped for part in rules.values() for clipped in part]
        if len(rules) > 1 and all(clipped.largest_change == 0 for clipped in everyone):
            rules = {f"any of {len(rules)} rules": everyone}
        # a line each: side by side they would run into the panel beside
        found += [(f"{label(rule)}\non {label(place)}", part) for rule, part in rules.items()]
    # an axis and its value stay on one line: only after a comma may a line end
    kept = label(setting(row)).replace(" ", "\xa0").replace(",\xa0", ", ")
    above = "\n".join(textwrap.wrap(kept, TITLE)).replace("\xa0", " ")
    return [(f"{above}\n{name}".strip(), part) for name, part in found]


def _panel(axes: Axes, part: Sequence[Clipped], colors: dict[Any, Any]) -> None:
    before = part[0].before
    axes.plot(before.x, _finite(before.median), color=INK, lw=3.2, alpha=0.28, solid_capstyle="butt")
    rows = to_frame(list(part))
    rows["line"] = rows["threshold"].map(_name)
    palette = {_name(threshold): Look(color, "", "") for threshold, color in colors.items()}
    palette.setdefault(_name(None), Look(INK, "", ""))
    lines(axes, rows, x="lag", y="log10_median_clipped", name="line", palette=palette, lw=1.4)


def _name(threshold: Any) -> str:
    return "no threshold" if missing(threshold) else f"threshold {plain(threshold)}"


def _finite(values: Any) -> Any:
    return np.where(np.isfinite(values), values, np.nan)


def _limits(axes: Axes, drawn: Sequence[Clipped]) -> None:
    values = np.concatenate([np.r_[c.before.median, c.after.median] for c in drawn])
    finite = values[np.isfinite(values)]
    bottom, top = max(FLOOR, finite.min(initial=0.0)), min(-FLOOR, finite.max(initial=0.0))
    margin = MARGIN * max(top - bottom, 1.0)
    axes.set_ylim(bottom - margin, top + margin)
    decades(axes)


def _handles(colors: dict[Any, Any]) -> list[Line2D]:
    handles = [Line2D([], [], color=INK, lw=3.2, alpha=0.28, label="unclipped")]
    return handles + [
        Line2D([], [], color=color, lw=1.6, label=_name(threshold)) for threshold, color in colors.items()
    ]
