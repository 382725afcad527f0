"""The Lyapunov spectrum: how many directions grow, and how fast the others die."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, INK, Look, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import rows_of
from harness.report.summaries.lyapunov import SHOWN, exponents
from harness.report.summaries.slices import common
from harness.report.words import phrase

LOWEST = 40
"""The y-axis ends at the exponent below which less than one in this many lies."""
EXACT, RANDOM = (0, (4, 2)), (0, (1, 1.5))


@figure("lyapunov_spectrum", question="lyapunov", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = exponents(run)
    if found is None:
        return
    last = found.curves.groupby([*found.axes], dropna=False)["steps"].transform("max")
    chosen = common(found.curves[found.curves["steps"] == last], found.axes, SHOWN)
    facts = common(found.settings, found.axes, SHOWN).rows
    data = chosen.rows
    title = phrase("Lyapunov exponents", chosen.shared)
    cells = [{"cell": cell} for cell in dict.fromkeys(data["cell"])]
    drawn, made = panels([cells], columns=3, height=2.9, share_x=False)
    palette = looks(list(dict.fromkeys(data["variant"])))
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="index", y="exponent", name="variant", palette=palette, lw=1.6)
        _theory(panel.axes, part, rows_of(facts, panel.content), palette)
        panel.axes.axhline(0.0, color=GREY, lw=1.0, zorder=1)
        panel.axes.set_title(label(str(panel.content["cell"])))
        panel.axes.set_xlabel("index of the exponent" if panel.bottom else "")
        panel.axes.set_ylabel("exponent (nats per step)" if panel.left else "")
        panel.axes.tick_params(labelbottom=True)
    _limits(made[0].axes, data)
    legend(
        drawn,
        title,
        [*(handle(n, look, marker=False) for n, look in palette.items()), *_handles(data, facts)],
    )
    caption = "Mean over seeds. Above the grey line a direction grows, below it shrinks."
    if data["exponent_theory"].notna().any():
        caption += " Dashed: what is known exactly, ln|λᵢ| of W_hh in the linear network."
    if data["exponent_random_matrix"].notna().any():
        caption += " Dotted: a product of independent Gaussian matrices of that size and variance."
    if facts["mean_field_exponent"].notna().any():
        caption += " Diamond: λ₁ = ½ ln χ of mean-field theory, for large random networks."
    caption += " A line that leaves the panel goes on below."
    yield Picture(
        "lyapunov_spectrum", title, caption + chosen.remark("tables/lyapunov_summary.csv"), data, drawn
    )


def _theory(axes: Axes, part: pd.DataFrame, facts: pd.DataFrame, palette: dict[str, Look]) -> None:
    for name, rows in part.groupby("variant", sort=False):
        color = palette[str(name)].color
        for column, dashes in (("exponent_theory", EXACT), ("exponent_random_matrix", RANDOM)):
            if rows[column].notna().any():
                dark: Any = INK if column == "exponent_theory" else color
                axes.plot(rows["index"], _finite(rows[column]), color=dark, ls=dashes, lw=1.2)
    for row in facts.dropna(subset=["mean_field_exponent"]).to_dict("records"):
        axes.plot(
            *([1], [row["mean_field_exponent"]]),
            marker="D",
            ms=6,
            mfc="white",
            mec=palette[row["variant"]].color,
            mew=1.4,
            clip_on=False,
            zorder=5,
        )


def _finite(values: pd.Series) -> Any:
    return values.where(np.isfinite(values))


def _limits(axes: Axes, data: pd.DataFrame) -> None:
    values = data["exponent"].to_numpy(float)
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return
    low, high = min(float(finite[len(finite) // LOWEST]), 0.0), max(float(finite[-1]), 0.0)
    margin = 0.08 * max(high - low, 0.1)
    axes.set_ylim(low - margin, high + margin)


def _handles(data: pd.DataFrame, facts: pd.DataFrame) -> list[Line2D]:
    handles = []
    if data["exponent_theory"].notna().any():
        handles.append(Line2D([], [], color=INK, ls=EXACT, lw=1.2, label="exact"))
    if data["exponent_random_matrix"].notna().any():
        handles.append(Line2D([], [], color=GREY, ls=RANDOM, lw=1.2, label="random matrices"))
    if facts["mean_field_exponent"].notna().any():
        handles.append(
            Line2D([], [], ls="", marker="D", ms=6, mfc="white", mec=GREY, mew=1.4, label="mean field λ₁")
        )
    return handles
