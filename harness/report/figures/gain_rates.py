"""Rate against gain: where does a network cross from vanishing to exploding, and where does theory say so?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, Look, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gain_map import SHOWN, gain_map
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.ticks import log2_sizes
from harness.report.words import counted, phrase, setting, split_constant

VERDICTS = {
    "vanishing": ("v", "#2563eb"),
    "stable": ("o", "#6b7280"),
    "exploding": ("^", "#dc2626"),
    "undecided": ("D", "#a16207"),
}
"""Marker and colour of each verdict."""
THEORY = (0, (1, 1.5))
CRITICAL = (0, (4, 2.5))
LOWEST = -2.0
"""Nats per step at which the y-axis ends at the latest."""


@figure("gain_rates", question="gain_map", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = gain_map(run)
    if found is None or found.rates["gain"].nunique() < 2:
        return
    chosen = common(found.rates, found.axes, SHOWN)
    data = chosen.rows[np.isfinite(chosen.rows["nats_per_step"])]
    varying, constant = split_constant(data, [a for a in ("cell", "input_scale") if a in data])
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS)
    if not settings:
        return
    title = phrase("Rate of the gradient against gain", setting(constant), chosen.shared)
    drawn, made = panels([settings], columns=3, height=2.9)
    palette = looks(list(dict.fromkeys(data["line"])))
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="gain", y="nats_per_step", name="line", palette=palette, lw=1.5)
        _theory(panel.axes, part, palette)
        _verdicts(panel.axes, part)
        panel.axes.axhline(0.0, color=GREY, lw=1.0, zorder=1)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.set_xlabel("gain of the recurrent weights" if panel.bottom else "")
        panel.axes.set_ylabel("rate (nats per step)" if panel.left else "")
    log2_sizes(made[0].axes, ascending(data["gain"].tolist()))
    low, high = data["nats_per_step"].min(), data["nats_per_step"].max()
    margin = 0.06 * max(high - max(low, LOWEST), 0.1)
    made[0].axes.set_ylim(max(low, LOWEST) - margin, high + margin)
    legend(drawn, title, [*(handle(n, look, marker=False) for n, look in palette.items()), *_handles(data)])
    caption = "Slope of ln‖∂h_t/∂h_k‖₂ against the lag, mean over seeds; the marker is the verdict."
    if data["mean_field_exponent"].notna().any():
        caption += " Dotted: ½ ln χ of mean-field theory. Dashed upright: the gain at which it has χ = 1."
    if (data["nats_per_step"] < LOWEST).any():
        caption += " Lower rates are in the table."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/gain_map_summary.csv."
    yield Picture("gain_rates", title, caption + chosen.remark("tables/gain_map_summary.csv"), data, drawn)


def _theory(axes: Axes, part: pd.DataFrame, palette: dict[str, Look]) -> None:
    for name, rows in part.dropna(subset=["mean_field_exponent"]).groupby("line", sort=False):
        color = palette[str(name)].color
        rows = rows.sort_values("gain")
        axes.plot(rows["gain"], rows["mean_field_exponent"], color=color, ls=THEORY, lw=1.6)
        critical = float(rows["critical_gain"].mean())
        if rows["gain"].min() <= critical <= rows["gain"].max():
            axes.axvline(critical, color=color, ls=CRITICAL, lw=1.1, zorder=1)


def _verdicts(axes: Axes, part: pd.DataFrame) -> None:
    for verdict, (marker, color) in VERDICTS.items():
        rows = part[part["verdict"] == verdict]
        axes.plot(
            *(rows["gain"], rows["nats_per_step"]),
            ls="",
            marker=marker,
            ms=5.5,
            color=color,
            mec="white",
            mew=0.6,
        )


def _handles(data: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], ls="", marker=marker, ms=6, color=color, label=verdict)
        for verdict, (marker, color) in VERDICTS.items()
        if (data["verdict"] == verdict).any()
    ]
    if data["mean_field_exponent"].notna().any():
        handles.append(Line2D([], [], color=GREY, ls=THEORY, lw=1.6, label="½ ln χ"))
        handles.append(Line2D([], [], color=GREY, ls=CRITICAL, lw=1.1, label="χ = 1"))
    return handles
