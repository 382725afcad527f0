"""The t × k heat map: what each moment still feels of each earlier one."""

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
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.summaries.jacobian_map import SHOWN, maps
from harness.report.summaries.slices import common
from harness.report.ticks import decade
from harness.report.words import counted, phrase, split_constant

LIMIT = 8.0
"""log10 at which the colours end, on both sides."""
UNSEEN = "#d1d5db"
"""The colour of what lies in the future, k > t."""


@figure("jacobian_map", question="jacobian_map", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = maps(run)
    if found is None:
        return
    chosen = common(found.cells, found.axes, SHOWN)
    names = [axis for axis in ("cell", "variant", "block", "inputs") if axis in chosen.rows]
    varying, constant = split_constant(chosen.rows, names)
    settings, left_out = most_populated(chosen.rows, varying, limit=MAX_PANELS)
    title = phrase(_title(constant), chosen.shared)
    rows: dict[str, list[Any]] = {}
    for setting in settings:
        rows.setdefault(" ".join(str(setting.get(axis, "")) for axis in ("cell", "block")), []).append(
            setting
        )
    drawn, made = panels(list(rows.values()), height=2.55)
    limit = _limit(chosen.rows)
    for panel in made:
        _panel(panel.axes, rows_of(chosen.rows, panel.content), limit)
        panel.axes.set_title(_panel_title(panel.content, varying))
        panel.axes.set_xlabel("k, the earlier step" if panel.bottom else "")
        panel.axes.set_ylabel("t, the later step" if panel.left else "")
    _color_bar(drawn, [panel.axes for panel in made], limit)
    legend(drawn, title)
    caption = (
        "Median over seeds and samples. On the diagonal the norm is 1; a row is one anchor t, read from "
        "right to left with growing lag. White: 1; blue: vanished; red: grown."
    )
    if np.isneginf(chosen.rows["log10_median"]).any():
        caption += " An exact zero has the darkest blue."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/jacobian_map.csv."
    yield Picture(
        "jacobian_map", title, caption + chosen.remark("tables/jacobian_map.csv"), chosen.rows, drawn
    )


def _title(constant: dict[str, Any]) -> str:
    block = str(constant.get("block", "hh"))
    later, earlier = (block[0], block[1]) if block != "ss" else ("s", "s")
    what = f"‖∂{later}ₜ/∂{earlier}ₖ‖₂ over t and k" if "block" in constant else "Norms over t and k"
    return phrase(what, *(_words(axis, value) for axis, value in constant.items() if axis != "block"))


def _panel_title(setting: dict[str, Any], varying: list[str]) -> str:
    """The network in one line, how it starts and what it reads in the next."""
    halves = [[axis for axis in varying if (axis in ("cell", "block")) == first] for first in (True, False)]
    found = [phrase(*(_words(axis, setting[axis]) for axis in half)) for half in halves]
    return "\n".join(label(words) for words in found if words)


def _words(axis: str, value: Any) -> str:
    return {"block": f"block {value}", "inputs": f"{value} inputs"}.get(axis, str(value))


def _panel(axes: Axes, part: pd.DataFrame, limit: float) -> None:
    table = part.pivot(index="t", columns="k", values="log10_median")
    values = table.to_numpy(float)
    axes.set_facecolor(UNSEEN)
    axes.pcolormesh(
        _edges(table.columns.to_numpy(float)),
        _edges(table.index.to_numpy(float)),
        np.ma.masked_invalid(np.where(np.isneginf(values), -limit, values)),
        cmap=_colors(),
        norm=Normalize(-limit, limit),
        rasterized=True,
    )
    axes.grid(visible=False)
    axes.set_aspect("equal")


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of cells around these centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _limit(rows: pd.DataFrame) -> float:
    values = rows["log10_median"].to_numpy(float)
    finite = np.abs(values[np.isfinite(values)])
    return float(min(LIMIT, max(1.0, np.ceil(finite.max(initial=1.0)))))


def _colors() -> Any:
    return mpl.colormaps["RdBu_r"]


def _color_bar(drawn: Any, axes: list[Axes], limit: float) -> None:
    scale = mpl.cm.ScalarMappable(norm=Normalize(-limit, limit), cmap=_colors())
    bar = drawn.colorbar(scale, ax=axes, extend="both", aspect=25, pad=0.01, fraction=0.05)
    ticks = np.unique(np.rint(np.linspace(-limit, limit, 5)).astype(int))
    bar.set_label("spectral norm of the block of ∂sₜ/∂sₖ")
    bar.set_ticks(ticks.tolist(), labels=[decade(tick) for tick in ticks.tolist()])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
