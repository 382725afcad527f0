"""Error against the float64 reference over T: one picture per dtype, one panel per cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from harness.report.by_cell import by_cell
from harness.report.drawing import GREY, legend, lines, looks
from harness.report.escape import file_stem
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, groups
from harness.report.summaries.parity import GRADIENTS, OUTPUTS, parity
from harness.report.ticks import power
from harness.report.words import phrase, setting

_DASHES = {OUTPUTS: "", GRADIENTS: (4, 1.5)}
_TOLERANCES = {OUTPUTS: (0, (1, 1.5)), GRADIENTS: (0, (4, 2, 1, 2))}


@figure("parity", question="parity", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = parity(run)
    if summary is None:
        return
    by = [axis for axis in summary.axes if axis != "seed"]
    worst = [
        {
            **setting,
            "relative_error": part["relative_error"].max(),
            "tolerance": part["tolerance"].min(),
            "key": part["key"].iloc[0],
        }
        for setting, part in groups(summary.rows, [*by, "kind"])
    ]
    rest = [axis for axis in by if axis not in ("cell", "dtype", "backend", "seq_len")]
    for chosen, part in groups(pd.DataFrame(worst), [axis for axis in ("dtype",) if axis in by]):
        if (part["relative_error"] > 0).any():
            yield _picture(run, part, rest, chosen)


def _picture(run: Run, part: pd.DataFrame, axes: list[str], chosen: Setting) -> Picture:
    palette = looks(run.backends)
    by_kind = {
        f"{name} {kind}": replace(look, dashes=dashes)
        for name, look in palette.items()
        for kind, dashes in _DASHES.items()
    }
    drawable = part[part["relative_error"] > 0]
    drawable = drawable.assign(line=drawable["backend"] + " " + drawable["kind"])
    layout = by_cell(
        drawable,
        axes,
        title=phrase("Error against the reference", setting(chosen)),
        y_label="relative error",
        y_ticks=power,
    )
    tolerances = _tolerances(part)
    for axes_, rows in layout.filled():
        lines(axes_, rows, x="seq_len", y="relative_error", name="line", palette=by_kind, markers=True)
        for words, (tolerance, dashes) in tolerances.items():
            axes_.axhline(tolerance, color=GREY, lw=1.2, ls=dashes, label=words)
    kinds = [
        Line2D([], [], color=GREY, lw=1.5, ls=(0, dashes) if dashes else "-", label=kind)
        for kind, dashes in _DASHES.items()
        if (drawable["kind"] == kind).any()
    ]
    tolerance_lines = [
        Line2D([], [], color=GREY, lw=1.2, ls=dashes, label=words)
        for words, (_, dashes) in tolerances.items()
    ]
    legend(layout.figure, layout.title, [*layout.handles(palette), *kinds, *tolerance_lines])
    caption = (
        "Largest relative error, max|a − ref| / max|ref|, over output and final state (outputs) and over all "
        "gradients, against the reference in float64. A point above its grey line is a disagreement."
    )
    if len(drawable) < len(part):
        caption += " An error of exactly zero cannot be drawn here."
    caption += layout.remark("tables/parity.csv")
    name = file_stem("_".join(["parity", *map(str, chosen.values())]))
    return Picture(name, layout.title, caption, layout.data.drop(columns=["key", "line"]), layout.figure)


def _tolerances(part: pd.DataFrame) -> dict[str, tuple[float, Any]]:
    """Legend entry -> tolerance and dashes: one where outputs and gradients share it."""
    values = {str(kind): float(value) for kind, value in part.groupby("kind")["tolerance"].min().items()}
    if len(set(values.values())) == 1:
        return {"tolerance": (next(iter(values.values())), _TOLERANCES[OUTPUTS])}
    return {f"tolerance, {kind}": (value, _TOLERANCES[kind]) for kind, value in values.items()}
