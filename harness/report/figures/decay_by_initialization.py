"""Decay by initialization: for one cell, which start lets the gradient through?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.decay_panels import draw_panels, remarks
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import VARIANT, common_slice, decays, to_frame, variant
from harness.report.words import phrase


@figure("decay_by_initialization", question="gradient_decay", order=20)
def draw(run: Run) -> Iterator[Picture]:
    found = decays(run)
    if found is None:
        return
    curves, shared, others = common_slice(found, ["cell", *VARIANT])
    curves = [decay for decay in curves if decay.block == "hh"]
    if not curves:
        return
    title = phrase("Gradient decay by initialization", shared)
    figure, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: str(decay.setting["cell"]),
        line_of=lambda decay: variant(decay.setting),
    )
    caption = "‖∂h_t/∂h_k‖₂ over the lag, one panel per cell. " + remarks(drawn, left_out, others)
    yield Picture("decay_by_initialization", title, caption, to_frame(drawn), figure)
