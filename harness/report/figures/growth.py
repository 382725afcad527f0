"""Exponents of time and memory in T, B and H: a panel per quantity, size and pass, a row per backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from harness.report.drawing import GREY, Look, handle, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import groups, rows_of
from harness.report.summaries.growth import KNOWN, Growth, growth, hardly_known
from harness.report.words import counted, phrase, setting, split_constant, symbol

QUANTITIES = {"time": "time of a call", "memory": "peak memory"}


@figure("growth", question="growth", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = growth(run)
    if summary is None:
        return
    wide = hardly_known(summary.exponents)
    if wide.all():
        return
    summary = replace(summary, exponents=summary.exponents[~wide].reset_index(drop=True))
    panel_axes = [axis for axis in ("pass",) if axis in summary.kinds]
    data, colored = _labelled(summary, panel_axes)
    backends = [name for name in run.backends if (data["backend"] == name).any()]
    rows = [
        [{**quantity, **panel} for panel, _ in groups(part, ["size", *panel_axes])]
        for quantity, part in groups(data, ["quantity"])
    ]
    drawn, made = panels(rows, height=0.75 + 0.16 * len(backends) * max(2, len(colored)))
    low, high = min(0.0, data["exponent"].min()), max(1.0, data["exponent"].max())
    margin = 0.12 * (high - low)
    for panel in made:
        _panel(panel.axes, rows_of(data, panel.content), backends, colored, left=panel.left)
        panel.axes.set_xlim(low - margin, high + margin)
        panel.axes.set_title(label(_title(panel.content)))
        panel.axes.set_xlabel("exponent" if panel.bottom else "")
    _, constant = split_constant(summary.exponents, [a for a in summary.kinds if a not in panel_axes])
    title = phrase("How cost grows: fitted exponents", setting(constant))
    handles = [handle(name, look) for name, look in colored.items() if name]
    for entry in handles:
        entry.set_linestyle("none")
    legend(drawn, title, handles)
    caption = (
        "Cost ∝ size to this exponent, fitted over three sizes or more. Bars: 95 % t-interval. Dashed: in "
        "proportion to the size."
    )
    if wide.any():
        caption += f" {counted(int(wide.sum()), 'exponent')} known no better than to ± {KNOWN:g} left out."
    yield Picture("growth", title, caption, data, drawn)


def _labelled(summary: Growth, panel_axes: list[str]) -> tuple[pd.DataFrame, dict[str, Look]]:
    """The exponents with the name of what is told apart by colour, and the look of each name."""
    varying, _ = split_constant(summary.exponents, [a for a in summary.kinds if a not in panel_axes])
    names = [setting({axis: row[axis] for axis in varying}) for _, row in summary.exponents.iterrows()]
    return summary.exponents.assign(series=names), looks(list(dict.fromkeys(names)))


def _title(content: Mapping[str, Any]) -> str:
    quantity = str(content["quantity"])
    name = f"{QUANTITIES.get(quantity, quantity)} in {symbol(content['size'])}"
    return phrase(name, setting({k: v for k, v in content.items() if k not in ("quantity", "size")}))


def _panel(
    axes: Axes, data: pd.DataFrame, backends: list[str], colored: Mapping[str, Look], *, left: bool
) -> None:
    offsets = dict(
        zip(colored, np.linspace(-0.3, 0.3, len(colored)) if len(colored) > 1 else [0], strict=True)
    )
    axes.axvline(1.0, color=GREY, lw=0.9, ls="--", zorder=0)
    for name, part in data.groupby("series", sort=False):
        look = colored[str(name)]
        y = [backends.index(backend) + offsets[str(name)] for backend in part["backend"]]
        axes.plot(part["exponent"], y, ls="none", marker=look.marker, ms=4.5, color=look.color)
        known = part["low"].notna().to_numpy()
        axes.hlines(np.array(y)[known], part["low"][known], part["high"][known], color=look.color, lw=1.1)
    axes.set_yticks(range(len(backends)), [label(name) for name in backends])
    axes.set_ylim(len(backends) - 0.5, -0.5)
    axes.tick_params(labelleft=left, labelbottom=True)
    axes.grid(visible=False, axis="y")
