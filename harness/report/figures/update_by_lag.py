"""The terms of an update over the lag, as shares of the whole."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.decay_panels import draw_panels
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.gradient_decay import (
    VARIANT,
    Decays,
    cell_words,
    common_slice,
    to_frame,
    variant,
)
from harness.report.summaries.update_by_lag import updates
from harness.report.words import counted, phrase


@figure("update_by_lag", question="update_by_lag", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = updates(run)
    if found is None:
        return
    curves, shared, others = common_slice(Decays(found.curves, found.axes), ["cell", *VARIANT])
    title = phrase("What each lag gives to an update", shared)
    drawing, drawn, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: variant(decay.setting, forget_bias=False),
        line_of=lambda decay: cell_words(decay.setting),
        quantity="‖term‖ / ‖∂L/∂W_hh‖",
        names=sorted({cell_words(decay.setting) for decay in curves}),
    )
    more = left_out + others
    caption = (
        "‖term of the gradient of W_hh‖ at each lag over the norm of all of them together, one panel per "
        "initialization; median over seeds, band from the 10 % to the 90 % quantile."
        + (
            f" {counted(more, 'further panel or setting', 'further panels or settings')} in the table."
            if more
            else ""
        )
    )
    yield Picture("update_by_lag", title, caption, to_frame(drawn), drawing)
