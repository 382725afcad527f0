"""The phase map: initialization by gain, coloured by the rate, with the χ = 1 line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from harness.report.drawing import INK, MAX_PANELS, legend, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gain_map import SHOWN, gain_map
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.words import counted, phrase, plain, setting, significant, split_constant

LIMIT = 0.5
"""Nats per step at which the colours end, on both sides."""
CRITICAL = (0, (2, 1))
"""Dashes of the χ = 1 line, which lies beneath the signs and hides none of them."""
SIGNS = {"vanishing": "▽", "stable": "○", "exploding": "▲", "undecided": "?"}


@figure("gain_map", question="gain_map", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = gain_map(run)
    if found is None or found.rates["gain"].nunique() < 2:
        return
    chosen = common(found.rates, found.axes, SHOWN)
    data = chosen.rows
    varying, constant = split_constant(data, [a for a in ("cell", "input_scale") if a in data])
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS // 2)
    gains, names = ascending(data["gain"].tolist()), list(dict.fromkeys(data["line"]))
    title = phrase("Phase map of the gradient", setting(constant), chosen.shared)
    drawn, made = panels([settings], columns=2, height=0.75 + 0.3 * len(names), share_x=False)
    for panel in made:
        _panel(panel.axes, rows_of(data, panel.content), gains, names)
        panel.axes.set_title(label(setting(panel.content)))
        panel.axes.tick_params(length=0, labelleft=panel.left, labelbottom=True)
        panel.axes.set_xlabel("gain of the recurrent weights" if panel.bottom else "")
    _color_bar(drawn, [panel.axes for panel in made])
    handles = [
        Line2D([], [], ls="", label=f"{sign} {verdict}")
        for verdict, sign in SIGNS.items()
        if verdict != "undecided" or (data["verdict"] == verdict).any()
    ]
    if data["critical_gain"].notna().any():
        handles.append(Line2D([], [], color=INK, lw=1.4, ls=CRITICAL, label="χ = 1 (mean field)"))
    legend(drawn, title, handles)
    caption = "Rate of ln‖∂h_t/∂h_k‖₂ per step: blue vanishes, red grows; the sign is the verdict."
    if data["critical_gain"].notna().any():
        caption += " The dashed line stands where theory has χ = 1, between the gains that were measured."
    if len(data) < len(settings) * len(gains) * len(names):
        caption += " A grey field was not measured."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/gain_map_summary.csv."
    yield Picture("gain_map", title, caption + chosen.remark("tables/gain_map_summary.csv"), data, drawn)


def _panel(axes: Axes, part: pd.DataFrame, gains: list[float], names: list[str]) -> None:
    axes.grid(visible=False)
    axes.set_facecolor("#e5e7eb")
    colors, norm = _colors(), Normalize(-LIMIT, LIMIT)
    for row in part.to_dict("records"):
        x, y = gains.index(row["gain"]), names.index(row["line"])
        rate = float(row["nats_per_step"])
        color = colors(norm(rate)) if np.isfinite(rate) else colors(0.0 if rate < 0 else 0.5)
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", lw=0.8))
        dark = abs(rate) > 0.6 * LIMIT
        axes.text(
            *(x + 0.5, y + 0.5, SIGNS[str(row["verdict"])]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else INK,
        )
    for name, rows in part.groupby("line", sort=False):
        place = _place(float(rows["critical_gain"].mean()), gains)
        if place is not None:
            y = names.index(str(name))
            axes.plot([place, place], [y, y + 1], color=INK, lw=1.4, ls=CRITICAL, zorder=1.5)
    axes.set_xlim(0, len(gains))
    axes.set_ylim(len(names), 0)
    axes.set_xticks(np.arange(len(gains)) + 0.5, [plain(gain) for gain in gains])
    axes.set_yticks(np.arange(len(names)) + 0.5, [label(name) for name in names])


def _place(critical: float, gains: list[float]) -> float | None:
    """Where a gain lies among the columns, interpolated on logarithms between their centres."""
    if not np.isfinite(critical) or not gains[0] <= critical <= gains[-1]:
        return None
    centres = np.arange(len(gains)) + 0.5
    return float(np.interp(np.log(critical), np.log(gains), centres))


def _colors() -> Any:
    return mpl.colormaps["RdBu_r"]


def _color_bar(drawn: Any, axes: list[Axes]) -> None:
    scale = mpl.cm.ScalarMappable(norm=Normalize(-LIMIT, LIMIT), cmap=_colors())
    bar = drawn.colorbar(scale, ax=axes, extend="both", aspect=18, pad=0.01, fraction=0.05)
    ticks = [-LIMIT, -LIMIT / 2, 0.0, LIMIT / 2, LIMIT]
    bar.set_ticks(ticks, labels=[significant(tick, 2) for tick in ticks])
    bar.set_label("rate (nats per step)")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
