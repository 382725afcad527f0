"""The blocks of a state Jacobian with a cell state: where does an LSTM carry its gradient?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.decay_panels import draw_panels, remarks
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import VARIANT, common_slice, decays, to_frame, variant
from harness.report.words import phrase

_BLOCKS = {
    "hh": "hh  ∂hₜ/∂hₖ",
    "hc": "hc  ∂hₜ/∂cₖ",
    "ch": "ch  ∂cₜ/∂hₖ",
    "cc": "cc  ∂cₜ/∂cₖ",
    "ss": "ss  the whole",
}


@figure("lstm_blocks", question="gradient_decay", order=30)
def draw(run: Run) -> Iterator[Picture]:
    found = decays(run)
    if found is None:
        return
    curves, shared, others = common_slice(found, ["cell", *VARIANT])
    split = {decay.setting["cell"] for decay in curves if decay.block not in ("hh", "ss")}
    curves = [decay for decay in curves if decay.setting["cell"] in split and decay.block in _BLOCKS]
    if not curves:
        return
    title = phrase("Blocks of the state Jacobian", *map(str, sorted(split)), shared)
    figure, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda d: phrase(str(d.setting["cell"]) if len(split) > 1 else "", variant(d.setting)),
        quantity="spectral norm of the block",
        line_of=lambda decay: _BLOCKS[decay.block],
    )
    caption = (
        "Spectral norms of the blocks of the product of full state Jacobians; the cell state's path is cc. "
        + remarks(drawn, left_out, others)
    )
    yield Picture("lstm_blocks", title, caption, to_frame(drawn), figure)
