"""Decay by cell: under one initialization, which cells let the gradient through and which do not?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.decay_panels import draw_panels, remarks
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import (
    VARIANT,
    cell_words,
    common_slice,
    decays,
    to_frame,
    variant,
)
from harness.report.words import phrase


@figure("decay_by_cell", question="gradient_decay", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = decays(run)
    if found is None:
        return
    curves, shared, others = common_slice(found, ["cell", *VARIANT])
    curves = [decay for decay in curves if decay.block == "hh"]
    if not curves:
        return
    names = sorted({cell_words(decay.setting) for decay in curves})
    title = phrase("Gradient decay by cell", shared)
    figure, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: variant(decay.setting, forget_bias=False),
        line_of=lambda decay: cell_words(decay.setting),
        names=names,
    )
    caption = "‖∂h_t/∂h_k‖₂ over the lag, one panel per initialization. " + remarks(drawn, left_out, others)
    yield Picture("decay_by_cell", title, caption, to_frame(drawn), figure)
