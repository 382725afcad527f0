"""Decay by sequence length: is the reach a property of the network, or of how far one looks?"""

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


@figure("decay_by_length", question="gradient_decay", order=50)
def draw(run: Run) -> Iterator[Picture]:
    found = decays(run)
    if found is None or "seq_len" not in found.axes:
        return
    curves, shared, others = common_slice(found, ["cell", *VARIANT, "seq_len"])
    curves = [decay for decay in curves if decay.block == "hh"]
    lengths: dict[str, set[int]] = {}
    for decay in curves:
        lengths.setdefault(_panel(decay.setting), set()).add(int(decay.setting["seq_len"]))
    curves = [decay for decay in curves if len(lengths[_panel(decay.setting)]) > 1]
    if not curves:
        return
    every = sorted({int(decay.setting["seq_len"]) for decay in curves}, reverse=True)
    title = phrase("Gradient decay by sequence length", shared)
    figure, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: _panel(decay.setting),
        line_of=lambda decay: f"T = {decay.setting['seq_len']}",
        names=[f"T = {length}" for length in every],
    )
    caption = "‖∂h_t/∂h_k‖₂ over the lag from the end of sequences of several lengths. "
    yield Picture(
        "decay_by_length", title, caption + remarks(drawn, left_out, others), to_frame(drawn), figure
    )


def _panel(axes: dict[str, object]) -> str:
    return phrase(cell_words(axes), variant(axes, forget_bias=False))
