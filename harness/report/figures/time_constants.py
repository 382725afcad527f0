"""Spread time constants: chrono's biases beside one forget bias for all units, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.decay_panels import MARGIN
from harness.report.drawing import GREY, Look, handle, legend, lines, looks, panels, shades
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.cell_path import longest
from harness.report.summaries.grouping import ascending, most_populated, rows_of
from harness.report.summaries.time_constants import KEPT, SPREAD, WRITTEN, exponent, time_constants
from harness.report.ticks import decades
from harness.report.words import counted, phrase, plain, setting, significant, split_constant

FLOOR = -4.0
"""log10 at which the y-axis ends at the latest: a power law falls no further within these lags."""
THEORY = (0, (1, 1.5))
GUIDE = (0, (5, 2))
_AXES = ("cell", "seq_len", "hidden_size")
CEILING = 1.0
"""And at which it begins."""
_TITLES = {WRITTEN: "what a step wrote, ∂cₜ/∂hₖ (lag 1: 1)", KEPT: "what the cell keeps, ∂cₜ/∂cₖ"}


@figure("time_constants", question="gradient_decay", order=34)
def draw(run: Run) -> Iterator[Picture]:
    frame = time_constants(run)
    if frame is None or not (frame["initialization"] == SPREAD).any():
        return
    spread = longest(frame[frame["initialization"] == SPREAD])
    sizes = {axis: spread[axis].iloc[0] for axis in ("seq_len", "batch_size", "hidden_size")}
    settings, left_out = most_populated(spread, ["panel"], limit=2)
    data = rows_of(frame, sizes)
    data = data[data["panel"].isin([found["panel"] for found in settings])]
    palette = _palette(data)
    _, constant = split_constant(data, _AXES)
    title = phrase("Chrono's power law", setting(constant))
    rows = [[(str(found["panel"]), path) for path in (WRITTEN, KEPT)] for found in settings]
    drawn, made = panels(rows, columns=2, height=2.9)
    for panel in made:
        name, path = panel.content
        part = data[(data["panel"] == name) & (data["path"] == path)]
        lines(panel.axes, part, x="lag", y="log10_rms", name="start", palette=palette, lw=1.7)
        for start, curve in part.groupby("start", sort=False):
            theory = curve["law"].where(curve["law"].notna(), curve["gates"])
            panel.axes.plot(curve["lag"], theory, color=palette[str(start)].color, ls=THEORY, lw=1.6)
        if path == WRITTEN:
            lags = part["lag"].to_numpy(float)
            panel.axes.plot(lags, -0.5 * np.log10(lags), color=GREY, ls=GUIDE, lw=1.0, zorder=1)
        panel.axes.set_title(f"{_TITLES[path]}\n{label(name)}")
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel("root mean square over units" if panel.left else "")
    _scales(made[0].axes, data)
    handles = [handle(name, look, marker=False) for name, look in palette.items()]
    handles.append(Line2D([], [], color=GREY, ls=GUIDE, lw=1.0, label="lag^(−1/2)"))
    handles.append(Line2D([], [], color=GREY, ls=THEORY, lw=1.6, label="from the biases"))
    legend(drawn, title, handles)
    caption = (
        "Root mean square over units, seeds and samples, on logarithmic axes: a power law is straight, an "
        f"exponential bends down. {_exponents(data, str(settings[0]['panel']))}"
        "Theory says lag^(−1/2) from a few steps to about t_max/10 for what a step writes into the cell, "
        "because chrono lets a unit in by as much as it forgets; beyond t_max it falls exponentially. "
        "What the cell keeps follows no power law: it is flat up to t_max/10 and exponential beyond t_max. "
        "One forget bias for all units is one exponential, in both. Dotted: from the biases alone, for "
        "chrono the mean over all draws of them."
    )
    if left_out:
        caption += f" {counted(left_out, 'other setting')} in tables/gradient_decay.csv."
    yield Picture("time_constants", title, caption, data, drawn)


def _palette(data: pd.DataFrame) -> dict[str, Look]:
    """Chrono in colours of its own, the forget biases in shades of one."""
    spread = data[data["initialization"] == SPREAD]
    found = dict(looks([f"{SPREAD}, t_max {plain(t)}" for t in ascending(spread["t_max"].tolist())]))
    biases = ascending(data["forget_bias"].dropna().tolist()) if "forget_bias" in data else []
    for bias, color in zip(biases, shades(len(biases)), strict=True):
        found[f"forget bias {plain(bias)}"] = Look(color, "", "")
    return found


def _exponents(data: pd.DataFrame, panel: str) -> str:
    """The power of the lag that fits what chrono writes, where it is one."""
    rows = data[(data["path"] == WRITTEN) & (data["panel"] == panel) & (data["initialization"] == SPREAD)]
    found = []
    for start, curve in rows.groupby("start", sort=False):
        if (fit := exponent(curve)) is not None:
            slope, first, last = fit
            found.append(f"as lag^{significant(slope, 2)} from {first} to {last} ({start})")
    where = panel[0].lower() + panel[1:]
    return f"Measured, {where}: what a step writes falls {', '.join(found)}. " if found else ""


def _scales(axes: Axes, data: pd.DataFrame) -> None:
    longest_lag = int(data["lag"].max())
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([10**i for i in range(len(str(longest_lag)))]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(1, longest_lag)
    values = data["log10_rms"].to_numpy(float)
    finite = values[np.isfinite(values)]
    low, high = max(FLOOR, float(finite.min(initial=-1.0))), min(CEILING, float(finite.max(initial=0.1)))
    axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    decades(axes)
