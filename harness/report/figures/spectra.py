"""Spectra at chosen lags: which share of the directions does the gradient keep?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.lines import Line2D

from harness.report.decay_panels import MARGIN
from harness.report.drawing import MAX_PANELS, Look, legend, lines, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.slices import common
from harness.report.summaries.spectra import SHOWN, spectra
from harness.report.ticks import decades
from harness.report.words import counted, phrase

FLOOR = -60.0
"""log10 at which the y-axis ends at the latest."""


@figure("spectra", question="spectra", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = spectra(run)
    if found is None:
        return
    chosen = common(found.values, found.axes, SHOWN)
    settings, left_out = most_populated(chosen.rows, ["cell", "variant"], limit=MAX_PANELS)
    data = chosen.rows.assign(line="lag " + chosen.rows["lag"].astype(str))
    lags = ascending(data["lag"].tolist())
    palette = {f"lag {lag}": Look(c, "", "") for lag, c in zip(lags, shades(len(lags)), strict=True)}
    title = phrase("Singular values of ∂sₜ/∂sₖ", chosen.shared)
    rows = [part for _, part in _by_cell(settings)]
    drawn, made = panels(rows, share_x=False)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="index", y="log10_median", name="line", palette=palette, lw=1.6)
        panel.axes.set_title(label(phrase(str(panel.content["cell"]), str(panel.content["variant"]))))
        panel.axes.set_xlabel("index of the singular value" if panel.bottom else "")
        panel.axes.set_ylabel("singular value" if panel.left else "")
        panel.axes.tick_params(labelbottom=True)
        panel.axes.set_xlim(1, part["index"].max())
    shown = data["log10_median"].to_numpy(float)
    finite = shown[np.isfinite(shown)]
    low, high = max(FLOOR, finite.min(initial=-1.0)), finite.max(initial=0.5)
    made[0].axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    decades(made[0].axes)
    legend(drawn, title, [Line2D([], [], color=look.color, lw=1.8, label=n) for n, look in palette.items()])
    caption = (
        "Singular values in descending order, median over seeds and samples. A flat line keeps all "
        "directions alike; a steep one keeps a few."
    )
    if np.isneginf(shown).any():
        caption += " Where a line ends, the rest are exactly zero."
    if (finite < FLOOR).any():
        caption += " Smaller values are in the table."
    if left_out:
        caption += f" {counted(left_out, 'further panel')} in tables/spectra_summary.csv."
    caption += chosen.remark("tables/spectra_summary.csv")
    yield Picture("spectra", title, caption, data.drop(columns="line"), drawn)


def _by_cell(settings: list[dict[str, object]]) -> list[tuple[str, list[dict[str, object]]]]:
    cells: dict[str, list[dict[str, object]]] = {}
    for setting in settings:
        cells.setdefault(str(setting["cell"]), []).append(setting)
    return list(cells.items())
