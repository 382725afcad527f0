"""Spread time constants: chrono's forget biases, on logarithmic axes, beside one bias for all units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.decay_panels import MARGIN
from harness.report.drawing import GREY, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.statistics import line
from harness.report.summaries.cell_path import cell_path, longest
from harness.report.summaries.grouping import most_populated, rows_of
from harness.report.ticks import decades
from harness.report.words import counted, phrase, setting, significant, split_constant

SPREAD = "chrono"
"""The initialization whose forget biases differ from unit to unit by design."""
FLOOR = -6.0
"""log10 at which the y-axis ends at the latest: a power law falls no further within these lags."""
THEORY = (0, (1, 1.5))
_AXES = ("cell", "seq_len", "batch_size", "hidden_size")


@figure("time_constants", question="gradient_decay", order=34)
def draw(run: Run) -> Iterator[Picture]:
    frame = cell_path(run)
    if frame is None or not (frame["initialization"] == SPREAD).any():
        return
    spread = longest(frame[frame["initialization"] == SPREAD])
    settings, left_out = most_populated(spread, ["panel"], limit=4)
    sizes = {axis: spread[axis].iloc[0] for axis in ("seq_len", "batch_size", "hidden_size")}
    data = rows_of(frame, sizes)
    wanted = (data["start"] == SPREAD) | data["start"].str.startswith("forget bias")
    data = data[wanted & (data["lag"] > 0) & data["panel"].isin([s["panel"] for s in settings])]
    palette = looks([SPREAD, *sorted(set(data["start"]) - {SPREAD})])
    _, constant = split_constant(data, _AXES)
    title = phrase("Time constants of the cell path", setting(constant))
    drawn, made = panels([settings], columns=2, height=3.0)
    for panel in made:
        part = rows_of(data, panel.content)
        lines(panel.axes, part, x="lag", y="log10_rms", name="start", palette=palette, lw=1.7)
        for name, rows in part.groupby("start", sort=False):
            color = palette[str(name)].color
            panel.axes.plot(rows["lag"], rows["rms_theory"], color=color, ls=THEORY, lw=1.6)
        panel.axes.set_title(label(str(panel.content["panel"])))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("root mean square over units" if panel.left else "")
    _scales(made[0].axes, data)
    handles = [handle(name, look, marker=False) for name, look in palette.items()]
    legend(drawn, title, [*handles, Line2D([], [], color=GREY, ls=THEORY, lw=1.6, label="from the biases")])
    caption = (
        "‖∂c_t/∂c_k‖_F/√H, median over seeds and samples, on logarithmic axes: a power law is straight, an "
        f"exponential bends down. {_exponents(data)}Dotted: the root mean square over units of σ(b_f)^lag."
    )
    if left_out:
        caption += f" {counted(left_out, 'other setting')} in tables/gradient_decay.csv."
    yield Picture("time_constants", title, caption, data, drawn)


def _exponents(data: pd.DataFrame) -> str:
    """The power of the lag that fits chrono's curve best, decade by decade of the lag."""
    rows = data[data["start"] == SPREAD]
    rows = rows[rows["panel"] == rows["panel"].iloc[0]]
    found = []
    for start in 10.0 ** np.arange(np.floor(np.log10(rows["lag"].max())) + 1):
        part = rows[(rows["lag"] >= start) & (rows["lag"] <= 10 * start) & np.isfinite(rows["log10_rms"])]
        fit = line(np.log10(part["lag"].to_numpy(float)), part["log10_rms"].to_numpy(float))
        if fit is not None and len(part) > 2:
            found.append(f"lag^{significant(fit.slope, 2)} from {start:g} to {part['lag'].max():g}")
    where = rows["panel"].iloc[0]
    return f"{SPREAD} ({where}) falls as {', '.join(found)}. " if found else ""


def _scales(axes: Axes, data: pd.DataFrame) -> None:
    longest_lag = int(data["lag"].max())
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([10**i for i in range(len(str(longest_lag)))]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(1, longest_lag)
    values = data["log10_rms"].to_numpy(float)
    finite = values[np.isfinite(values)]
    low, high = max(FLOOR, float(finite.min(initial=-1.0))), float(finite.max(initial=0.1))
    axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    decades(axes)
