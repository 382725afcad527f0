"""Running convergence: have the averages behind the exponents settled?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, MAX_PANELS, Look, legend, lines, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.lyapunov import SHOWN, exponents
from harness.report.summaries.slices import common
from harness.report.ticks import log2_sizes
from harness.report.words import counted, phrase

SHARES = {"largest": 0.0, "a quarter down": 0.25, "middle": 0.5}
"""Which exponents are drawn: the place in the spectrum, as a share of it."""

SPAN = 0.2
"""Nats per step: the smallest range of a panel, so that rounding is not blown up to a curve."""


@figure("lyapunov_convergence", question="lyapunov", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = exponents(run)
    if found is None or found.curves["steps"].nunique() < 2:
        return
    chosen = common(found.curves, found.axes, SHOWN)
    settings, left_out = most_populated(chosen.rows, ["cell", "variant"], limit=MAX_PANELS)
    data = _chosen(chosen.rows)
    facts = common(found.settings, found.axes, SHOWN).rows
    palette = {n: Look(c, "", "") for n, c in zip(SHARES, shades(len(SHARES))[::-1], strict=True)}
    title = phrase("Running averages of the exponents", chosen.shared)
    cells: dict[str, list[dict[str, object]]] = {}
    for setting in settings:
        cells.setdefault(str(setting["cell"]), []).append(setting)
    drawn, made = panels(list(cells.values()), share_y=False, height=2.0)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="steps", y="exponent", name="line", palette=palette, lw=1.5)
        for name, rows in part.groupby("line", sort=False):
            end = rows.dropna(subset=["standard_error"]).tail(1)
            error, color = 2.0 * end["standard_error"], palette[str(name)].color
            panel.axes.errorbar(end["steps"], end["exponent"], error, color=color, capsize=3)
        theory = rows_of(facts, panel.content)["mean_field_exponent"].dropna()
        if len(theory):
            panel.axes.axhline(theory.iloc[0], color=GREY, ls=(0, (4, 2)), lw=1.1, zorder=1)
        _at_least(panel.axes, SPAN)
        panel.axes.set_title(label(phrase(str(panel.content["cell"]), str(panel.content["variant"]))))
        panel.axes.set_xlabel("steps averaged" if panel.bottom else "")
        panel.axes.set_ylabel("nats per step" if panel.left else "")
    log2_sizes(made[0].axes, ascending(data["steps"].tolist()))
    handles = [Line2D([], [], color=look.color, lw=1.8, label=name) for name, look in palette.items()]
    if facts["mean_field_exponent"].notna().any():
        handles.append(Line2D([], [], color=GREY, ls=(0, (4, 2)), lw=1.1, label="mean field λ₁"))
    legend(drawn, title, handles)
    caption = (
        "The average over the first steps after the warm-up, mean over seeds; bar: two standard errors of "
        "the last. What is still moving has not converged."
    )
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/lyapunov.csv."
    yield Picture("lyapunov_convergence", title, caption + chosen.remark("tables/lyapunov.csv"), data, drawn)


def _at_least(axes: Axes, span: float) -> None:
    low, high = axes.get_ylim()
    if high - low < span:
        middle = (low + high) / 2
        axes.set_ylim(middle - span / 2, middle + span / 2)


def _chosen(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of the chosen places in the spectrum that are finite, named in `line`."""
    size = curves.groupby(["cell", "variant"])["index"].transform("max")
    parts = []
    for name, share in SHARES.items():
        index = np.maximum(1, np.rint(share * size))
        parts.append(curves[curves["index"] == index].assign(line=name))
    found = pd.concat(parts, ignore_index=True)
    return found[np.isfinite(found["exponent"])]
