"""The layer-to-layer map: what each layer's last step still feels of each layer below, over the lag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from harness.report.drawing import MAX_PANELS, legend, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.depth_decay import SHOWN, depth_decays
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.ticks import decade
from harness.report.words import counted, phrase, split_constant

LIMIT = 10.0
"""Decades below and above 1 at which the colours end."""


@figure("depth_map", question="depth_decay", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = depth_decays(run)
    if found is None:
        return
    chosen = common(found.curves, found.axes, SHOWN)
    deep = (
        chosen.rows.groupby(_named(found.axes), sort=False, dropna=False)["later_layer"].transform("max") > 1
    )
    data = chosen.rows[deep]
    if data.empty:
        return
    varying, constant = split_constant(data, ["cell", "variant", "structure"])
    settings, left_out = most_populated(data, varying, limit=MAX_PANELS)
    most_pairs = data.groupby(varying or ["cell"])["later_layer"].max().max()
    drawn, made = panels(
        [settings],
        columns=3,
        height=0.7 + 0.17 * most_pairs * (most_pairs + 1) / 2,
        share_y=False,
        share_x=False,
    )
    for panel in made:
        _panel(panel.axes, rows_of(data, panel.content))
        panel.axes.set_title(label(phrase(*map(str, panel.content.values()))))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("layer l ← layer m" if panel.left else "")
    _color_bar(drawn, [panel.axes for panel in made])
    title = phrase("‖∂hˡₜ/∂hᵐₖ‖₂ between layers", *map(str, constant.values()), chosen.shared)
    legend(drawn, title)
    caption = (
        "Median over seeds and samples; a row is one pair of layers, within a layer above, the farther down "
        "in depth the lower. White: 1; blue: vanished; red: grown. Lags below 0: steps ahead, where the "
        "structure reads both ways."
    )
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/depth_decay_summary.csv."
    yield Picture("depth_map", title, caption + chosen.remark("tables/depth_decay_summary.csv"), data, drawn)


def _named(axes: list[str]) -> list[str]:
    return [axis for axis in axes if axis in SHOWN]


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    part = part.assign(depth=part["later_layer"] - part["earlier_layer"])
    table = part.pivot(index=["depth", "later_layer", "earlier_layer"], columns="lag", values="log10_median")
    values = table.to_numpy(float)
    lags = table.columns.to_numpy(float)
    middles = (lags[1:] + lags[:-1]) / 2
    edges = np.concatenate([[lags[0] - 0.5], middles, [lags[-1] + 0.5]])
    axes.pcolormesh(
        edges,
        np.arange(len(table) + 1),
        np.ma.masked_invalid(np.where(np.isneginf(values), -LIMIT, values)),
        cmap=mpl.colormaps["RdBu_r"],
        norm=Normalize(-LIMIT, LIMIT),
        rasterized=True,
    )
    axes.grid(visible=False)
    axes.set_ylim(len(table), 0)
    axes.set_yticks(
        np.arange(len(table)) + 0.5, [f"{later} ← {earlier}" for _, later, earlier in table.index]
    )
    axes.tick_params(axis="y", length=0, labelsize=7, labelleft=True)


def _color_bar(drawn: Any, axes: list[Axes]) -> None:
    scale = mpl.cm.ScalarMappable(norm=Normalize(-LIMIT, LIMIT), cmap=mpl.colormaps["RdBu_r"])
    bar = drawn.colorbar(scale, ax=axes, extend="both", aspect=25, pad=0.01, fraction=0.05)
    ticks = [-10, -5, 0, 5, 10]
    bar.set_label("spectral norm of ∂hˡₜ/∂hᵐₖ")
    bar.set_ticks(ticks, labels=[decade(tick) for tick in ticks])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
