"""Decay by inputs: does real text carry the gradient as far as noise does?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.decay_panels import draw_panels, remarks
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import cell_words, common_slice, decays, to_frame
from harness.report.words import phrase


@figure("decay_by_inputs", question="gradient_decay", order=40)
def draw(run: Run) -> Iterator[Picture]:
    found = decays(run)
    if found is None or "inputs" not in found.axes:
        return
    curves, shared, others = common_slice(found, ["cell", "inputs", "forget_bias"])
    curves = [decay for decay in curves if decay.block == "hh"]
    kinds: dict[str, set[str]] = {}
    for decay in curves:
        kinds.setdefault(cell_words(decay.setting), set()).add(str(decay.setting["inputs"]))
    curves = [decay for decay in curves if len(kinds[cell_words(decay.setting)]) > 1]
    if not curves:
        return
    title = phrase("Gradient decay by inputs", shared)
    figure, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: cell_words(decay.setting),
        line_of=lambda decay: str(decay.setting["inputs"]),
    )
    caption = "‖∂h_t/∂h_k‖₂ over the lag, one panel per cell. " + remarks(drawn, left_out, others)
    yield Picture("decay_by_inputs", title, caption, to_frame(drawn), figure)
