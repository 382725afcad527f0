"""The surface of one unit with its cliff and the descents on it, and a plane through a trained network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from harness.report.drawing import INK, legend, panels
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.error_surface import surfaces
from harness.report.summaries.grouping import ascending
from harness.report.words import plain, power_of_ten

_EDGE = [withStroke(linewidth=2.2, foreground=INK)]
DESCENTS: dict[str, dict[str, Any]] = {
    "plain": {"color": "#ffffff", "path_effects": _EDGE},
    "clipped": {"color": "#fb923c", "path_effects": _EDGE},
}
"""How each kind of descent is drawn, on any colour of the map and on the page."""


@figure("error_surface", question="error_surface", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = surfaces(run)
    if found is None or "one_unit" not in found.grids:
        return
    grid = found.grids["one_unit"]
    rates = ascending(found.descents["learning_rate"].tolist()) or [None]
    drawn, made = panels([rates], columns=2, height=4.2)
    for panel in made:
        _map(drawn, panel.axes, grid)
        own = found.descents[found.descents["learning_rate"] == panel.content]
        _paths(panel.axes, own, grid)
        panel.axes.set_title(f"learning rate {plain(panel.content)}")
        panel.axes.set_xlabel("weight w")
        panel.axes.set_ylabel("bias b" if panel.left else "")
    title = "The cliff in the error surface of one unit, and descents on it"
    legend(drawn, title, _handles())
    caption = "Colour: the squared error. Circles: where descents start. A line that runs off the map leapt."
    data = pd.concat([grid, found.descents], ignore_index=True)
    columns = ["quantity", "learning_rate", "start", "step", "x", "y", "log10_loss", "log10_gradient_norm"]
    yield Picture("error_surface", title, caption, data[columns], drawn)


@figure("error_surface_trained", question="error_surface", order=20)
def draw_trained(run: Run) -> Iterator[Picture]:
    found = surfaces(run)
    if found is None or "trained" not in found.grids:
        return
    grid = found.grids["trained"]
    drawn, (loss, slope) = panels([["log10_loss", "log10_gradient_norm"]], columns=2, height=3.8)
    for panel, name in ((loss, "mean squared error"), (slope, "its slope")):
        _map(drawn, panel.axes, grid.assign(log10_loss=grid[panel.content]))
        _paths(panel.axes, found.plane, grid)
        panel.axes.set_title(name)
        panel.axes.set_xlabel("along the gradient (norms of the weights)")
        panel.axes.set_ylabel("along a random direction" if panel.left else "")
    title = "A plane through a trained network, and descents in it"
    legend(drawn, title, [] if found.plane.empty else _handles())
    caption = "The trained network stands in the middle. Colour: the loss, and its slope there."
    if not found.plane.empty:
        caption += (
            " Circles: where descents start, which stay in the plane. A line that runs off the map leapt."
        )
    columns = ["quantity", "start", "step", "x", "y", "log10_loss", "log10_gradient_norm"]
    data = pd.concat([grid, found.plane], ignore_index=True)
    yield Picture("error_surface_trained", title, caption, data[columns], drawn)


def _paths(axes: Axes, descents: pd.DataFrame, grid: pd.DataFrame) -> None:
    """Each descent as far as the map goes."""
    for (_, kind), part in descents.groupby(["start", "quantity"], sort=False):
        part = part.sort_values("step")
        axes.plot(part["x"], part["y"], lw=1.3, marker=".", ms=3.5, clip_on=True, **DESCENTS[str(kind)])
        axes.plot(*part[["x", "y"]].iloc[0], marker="o", ms=6, color="#ffffff", mec="#1f2937")
    axes.set_xlim(grid["x"].min(), grid["x"].max())
    axes.set_ylim(grid["y"].min(), grid["y"].max())


def _handles() -> list[Line2D]:
    return [Line2D([], [], lw=1.6, marker=".", label=name, **look) for name, look in DESCENTS.items()]


def _map(drawn: Any, axes: Axes, grid: pd.DataFrame) -> None:
    """log10 of a quantity over x and y."""
    table = grid.pivot(index="y", columns="x", values="log10_loss")
    values = table.to_numpy(float)
    values = np.where(np.isfinite(values), values, np.nan)
    mesh = axes.pcolormesh(
        table.columns.to_numpy(float), table.index.to_numpy(float), values, cmap="viridis", rasterized=True
    )
    axes.grid(False)
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.9, pad=0.02)
    bar.ax.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    axes.xaxis.set_major_locator(MaxNLocator(5))
