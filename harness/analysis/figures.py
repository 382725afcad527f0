"""The figures of an analysis, each from its frame, in the look that all reports have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.analysis.analysis import Analysis
from harness.analysis.changes import AS_GIVEN
from harness.analysis.layer import norm_column
from harness.report.decay_panels import draw_panels
from harness.report.drawing import GREY, legend, panels, shades
from harness.report.escape import label
from harness.report.pictures import Picture
from harness.report.statistics import Curve, curve
from harness.report.summaries.gradient_decay import Decay
from harness.report.ticks import decades
from harness.report.words import counted

BLOCKS = {
    "hh": "hh  ∂hₜ/∂hₖ",
    "hc": "hc  ∂hₜ/∂cₖ",
    "ch": "ch  ∂cₜ/∂hₖ",
    "cc": "cc  ∂cₜ/∂cₖ",
    "ss": "ss  the whole",
}
MOST_PANELS = 9
_FLOOR = -60.0
"""log10 at which singular values leave the picture."""
_BAND = "Line: the median over anchors and samples; band: from the 10 % to the 90 % quantile."


def decay_figure(analysis: Analysis) -> Iterator[Picture]:
    """Norms of every block over lag, a panel per layer."""
    if analysis.decay.empty:
        return
    column = norm_column(analysis.decay)
    bounds = (
        {str(layer): part for layer, part in analysis.bound.groupby("layer")}
        if not analysis.bound.empty
        else {}
    )
    curves = []
    for (layer, block), part in analysis.decay.groupby(["layer", "block"], sort=False):
        bound = bounds.get(str(layer))
        drawn = None if bound is None else _line(bound["lag"], bound["log10_bound"])
        curves.append(_decay(str(layer), BLOCKS.get(str(block), str(block)), part, column, drawn))
    title = "Gradient norm against lag"
    figure, _, left_out = _panels(curves, title, _quantity(analysis))
    caption = f"Norms of the blocks of ∂s_t/∂s_k against the lag t − k. {_BAND}"
    if bounds:
        caption += " Dashed: the bound (β_W β_h)^(t−k) of the simple RNN."
    yield Picture("decay", title, caption + _more(left_out), analysis.decay, figure)


def anchors_figure(analysis: Analysis) -> Iterator[Picture]:
    """∂h_t/∂h_k from several places t of the sequence."""
    frame = analysis.decay
    if frame.empty or frame["anchor"].nunique() < 2:
        return
    block = next(name for name in ("hh", *frame["block"].unique()) if (frame["block"] == name).any())
    frame = frame[frame["block"] == block]
    curves = [
        _decay(str(layer), f"t = {anchor}", part, norm_column(frame))
        for (layer, anchor), part in frame.groupby(["layer", "anchor"], sort=False)
    ]
    title = f"{BLOCKS.get(str(block), str(block))} from several places in the sequence"
    figure, _, left_out = _panels(curves, title, _quantity(analysis))
    caption = (
        "The same network looked back from several steps t: where the curves lie apart, the reach depends on "
        "what was read. Band: from the 10 % to the 90 % quantile over samples."
    )
    yield Picture("anchors", title, caption + _more(left_out), frame, figure)


def changes_figure(analysis: Analysis) -> Iterator[Picture]:
    """Decay with another start, forget bias or cell in the layer's place."""
    frame = analysis.change_curves
    if frame.empty:
        return
    curves = [
        _decay(str(layer), str(change), part, "log10_typical")
        for (layer, change), part in frame.groupby(["layer", "change"], sort=False)
    ]
    title = "What would change: ∂hₜ/∂hₖ with something else in the layer's place"
    figure, panels_, left_out = _panels(curves, title, "typical norm of ∂hₜ/∂hₖ")
    for axes in panels_:
        _emphasise_first(axes)
    caption = (
        f"The thick line is the layer {AS_GIVEN}. Shifts of the forget bias keep its weights; the others are "
        "networks as they would start, on the same inputs. Typical norm: exp of the mean logarithm over "
        "samples and draws."
    )
    yield Picture("changes", title, caption + _more(left_out), frame, figure)


def spectrum_figure(analysis: Analysis) -> Iterator[Picture]:
    """All singular values of ∂s_T/∂s_{T−lag} at several lags."""
    frame = analysis.spectrum
    if frame.empty:
        return
    lags = sorted(frame["lag"].unique())
    colors = dict(zip(lags, shades(len(lags)), strict=True))

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        for lag, values in part.groupby("lag"):
            y = values["log10_singular_value"].to_numpy(float)
            axes.plot(values["index"], np.where(y < _FLOOR, np.nan, y), color=colors[lag], lw=1.5)
        axes.axhline(0.0, color=GREY, lw=0.9, zorder=1)
        decades(axes)

    title = "Singular values of ∂s_T/∂s_k"
    handles = [Line2D([], [], color=colors[lag], lw=1.5, label=f"lag {lag}") for lag in lags]
    figure, left_out = _by_layer(frame, draw, "index of the singular value", "singular value")
    legend(figure, title, handles)
    lowest = frame["log10_singular_value"]
    caption = "Of the first sample, largest first: how many directions of a perturbation are still there."
    if (lowest < _FLOOR).any():
        caption += " Values that are exactly zero or below 10⁻⁶⁰ are not drawn."
    yield Picture("spectrum", title, caption + _more(left_out), frame, figure)


def lyapunov_figure(analysis: Analysis) -> Iterator[Picture]:
    """Every Lyapunov exponent with its standard error."""
    frame = analysis.lyapunov
    if frame.empty:
        return

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        part = part[np.isfinite(part["exponent"])]
        x, y, error = (part[name].to_numpy(float) for name in ("index", "exponent", "standard_error"))
        error = np.where(np.isfinite(error), error, 0.0)
        axes.fill_between(x, y - error, y + error, color="C0", alpha=0.25, lw=0)
        axes.plot(x, y, color="C0", lw=1.4, marker="o" if len(x) <= 40 else "", ms=3)
        axes.axhline(0.0, color=GREY, lw=0.9, zorder=1)

    title = "Lyapunov spectrum"
    figure, left_out = _by_layer(frame, draw, "index of the exponent", "exponent (nats per step)")
    legend(figure, title)
    caption = "Mean growth rate of each direction; band: one standard error. Above 0 a direction grows."
    yield Picture("lyapunov", title, caption + _more(left_out), frame, figure)


def gates_figure(analysis: Analysis) -> Iterator[Picture]:
    """How far open each unit's carry gate is."""
    frame = analysis.gates
    if frame.empty:
        return

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        part = part.sort_values("mean", ascending=False)
        x = np.arange(1, len(part) + 1)
        axes.fill_between(x, part["quantile_5"], part["quantile_95"], color="C0", alpha=0.2, lw=0)
        axes.plot(x, part["mean"], color="C0", lw=1.6)
        axes.set_ylim(0.0, 1.02)

    title = "How much each unit carries over"
    names = {"f": "forget gate f", "z": "update gate z"}
    quantity = " / ".join(names[str(gate)] for gate in frame["gate"].unique())
    figure, left_out = _by_layer(frame, draw, "unit, most open first", quantity)
    legend(figure, title)
    caption = "Line: the gate's mean over time and samples; band: from its 5 % to its 95 % quantile."
    yield Picture("gates", title, caption + _more(left_out), frame, figure)


def _decay(layer: str, line: str, part: pd.DataFrame, column: str, bound: Curve | None = None) -> Decay:
    observations = int(part.groupby("lag").size().max())
    return Decay({"layer": layer}, line, curve(part["lag"], part[column]), bound, observations)


def _line(lags: Any, values: Any) -> Curve:
    x, y = np.asarray(lags, float), np.asarray(values, float)
    return Curve(x, y, y, y)


def _panels(curves: Sequence[Decay], title: str, quantity: str) -> tuple[Any, list[Axes], int]:
    figure, _, left_out = draw_panels(
        curves,
        title=title,
        panel_of=lambda decay: str(decay.setting["layer"]),
        line_of=lambda decay: decay.block,
        quantity=quantity,
        limit=MOST_PANELS,
    )
    return figure, figure.axes, left_out


def _emphasise_first(axes: Axes) -> None:
    """The first line that was drawn stands out."""
    if axes.lines:
        axes.lines[0].set(lw=3.2, zorder=5)


def _by_layer(
    frame: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None], x: str, y: str
) -> tuple[Any, int]:
    """A panel per layer; the figure and how many layers found no room."""
    layers = list(dict.fromkeys(frame["layer"]))
    figure, made = panels([layers[:MOST_PANELS]], columns=3, height=2.75, share_x=False)
    for panel in made:
        draw(panel.axes, frame[frame["layer"] == panel.content])
        panel.axes.set_title(label(panel.content))
        panel.axes.set_xlabel(x if panel.bottom else "")
        panel.axes.set_ylabel(y if panel.left else "")
    return figure, max(0, len(layers) - MOST_PANELS)


def _quantity(analysis: Analysis) -> str:
    return next((findings.norm for findings in analysis.layers if not findings.decay.empty), "norm")


def _more(left_out: int) -> str:
    return f" {counted(left_out, 'further layer')} in the data." if left_out else ""
