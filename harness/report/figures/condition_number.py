"""Condition number against lag: how fast does the gradient forget all directions but one?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.report.drawing import handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import ascending, rows_of
from harness.report.summaries.slices import common
from harness.report.summaries.spectra import SHOWN, spectra
from harness.report.ticks import decades, log2_sizes
from harness.report.words import listed, phrase


@figure("condition_number", question="spectra", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = spectra(run)
    if found is None or found.conditions["lag"].nunique() < 2:
        return
    chosen = common(found.conditions, found.axes, SHOWN)
    data = chosen.rows
    finite = np.isfinite(data["log10_condition"])
    cells = [{"cell": cell} for cell in dict.fromkeys(data.loc[finite, "cell"])]
    if not cells:
        return
    title = phrase("Condition number of ∂sₜ/∂sₖ", chosen.shared)
    drawn, made = panels([cells], height=2.75)
    palette = looks(list(dict.fromkeys(data["variant"])))
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="lag", y="log10_condition", name="variant", palette=palette, markers=True)
        panel.axes.set_title(label(str(panel.content["cell"])))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("σ₁ / σ_S" if panel.left else "")
    log2_sizes(made[0].axes, ascending(data["lag"].tolist()))
    decades(made[0].axes)
    legend(drawn, title, [handle(name, look) for name, look in palette.items()])
    caption = "Largest over smallest singular value, median over seeds and samples."
    if not finite.all():
        caption += " A point is missing where singular values are exactly zero"
        none = [str(cell) for cell in dict.fromkeys(data["cell"]) if {"cell": cell} not in cells]
        caption += f", and the panel of {listed(none)}, of which all are." if none else "."
    yield Picture(
        "condition_number", title, caption + chosen.remark("tables/spectra_summary.csv"), data, drawn
    )
