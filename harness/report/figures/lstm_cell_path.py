"""The LSTM's cell path at several forget biases, against σ(b_f)^lag."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.lines import Line2D

from harness.report.decay_panels import MARGIN
from harness.report.drawing import GREY, Look, legend, lines, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.cell_path import cell_path, longest
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.ticks import decades
from harness.report.words import counted, phrase, plain, setting, split_constant

FLOOR = -40.0
"""log10 at which the y-axis ends at the latest."""
THEORY = (0, (1, 1.5))
_AXES = ("cell", "initialization", "seq_len", "batch_size", "hidden_size")


@figure("lstm_cell_path", question="gradient_decay", order=32)
def draw(run: Run) -> Iterator[Picture]:
    frame = cell_path(run)
    if frame is None or "forget_bias" not in frame or frame["forget_bias"].isna().all():
        return
    data = longest(frame[frame["forget_bias"].notna()])
    (initialization,), others = most_populated(data, ["initialization"], limit=1)
    data = rows_of(data, initialization)
    settings, left_out = most_populated(data, ["panel"], limit=4)
    data = data[data["panel"].isin([setting["panel"] for setting in settings])]
    biases = ascending(data["forget_bias"].tolist())
    colors = shades(len(biases))
    palette = {f"forget bias {plain(b)}": Look(c, "", "") for b, c in zip(biases, colors, strict=True)}
    _, constant = split_constant(data, _AXES)
    title = phrase("The cell path ∂cₜ/∂cₖ against σ(b_f)^lag", setting(constant))
    drawn, made = panels([settings], columns=2, height=3.0)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="lag", y="log10_largest", name="start", palette=palette, lw=1.8)
        for name, rows in part.groupby("start", sort=False):
            color = palette[str(name)].color
            panel.axes.plot(rows["lag"], rows["largest_theory"], color=color, ls=THEORY, lw=1.6)
        panel.axes.set_title(label(str(panel.content["panel"])))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("‖∂cₜ/∂cₖ‖₂" if panel.left else "")
    values = data[["log10_largest", "largest_theory"]].to_numpy(float)
    finite = values[np.isfinite(values)]
    low, high = max(FLOOR, float(finite.min(initial=-1.0))), float(finite.max(initial=0.5))
    made[0].axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    decades(made[0].axes)
    handles = [Line2D([], [], color=look.color, lw=1.8, label=name) for name, look in palette.items()]
    legend(drawn, title, [*handles, Line2D([], [], color=GREY, ls=THEORY, lw=1.6, label="σ(b_f)^lag")])
    caption = (
        "Spectral norm of block cc, median over seeds and samples. Dotted: what forget gates that see their "
        "biases alone give; where weights and inputs move the gates, the path leaves it."
    )
    if left_out or others:
        caption += f" {counted(left_out + others, 'other setting')} in tables/gradient_decay.csv."
    yield Picture("lstm_cell_path", title, caption, data, drawn)
