"""The layout that the figures of gradient decay share: log10 norms over lag, median, band and bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.drawing import GREY, Look, handle, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.summaries.gradient_decay import FAINT, Decay
from harness.report.ticks import decades
from harness.report.words import counted

FLOOR = -40.0
"""log10 at which the y-axis ends at the latest."""
MARGIN = 0.06
"""Of the range, above and below."""
WIDTH = 1.7
"""Of a line, points; of one that others cover, as much more for each of them."""
SAME = 0.02
"""Of the range: curves that are nowhere further apart cover one another."""
BOUND_ROOM = 0.2
"""Of the range: how far a bound is followed above the curves."""


def draw_panels(
    curves: Sequence[Decay],
    *,
    title: str,
    panel_of: Callable[[Decay], str],
    line_of: Callable[[Decay], str],
    quantity: str = "‖∂hₜ/∂hₖ‖₂",
    names: Sequence[str] | None = None,
    limit: int = 9,
) -> tuple[Figure, list[Decay], int]:
    """One panel per `panel_of`, in it one line per `line_of`, with its bound where each has its own colour.

    Args:
        quantity: what the y-axis shows.
        names: every line name there is, in the order that decides the colours.
        limit: of panels; those with the most curves are kept.

    Returns:
        The figure, the curves in it, and how many panels were left out.
    """
    by_panel: dict[str, list[Decay]] = {}
    for decay in curves:
        by_panel.setdefault(panel_of(decay), []).append(decay)
    kept = sorted(by_panel, key=lambda name: -len(by_panel[name]))[:limit]
    contents = [name for name in by_panel if name in kept]
    palette = looks(names or list(dict.fromkeys(map(line_of, curves))))
    # nobody could tell whose a bound is where lines share a colour
    if len({look.color for look in palette.values()}) < len(palette):
        by_panel = {name: [replace(decay, bound=None) for decay in by_panel[name]] for name in by_panel}
    drawn = [decay for name in contents for decay in by_panel[name]]
    figure, made = panels([contents], columns=3, height=2.75)
    for panel in made:
        frames = [decay.to_frame().assign(line=line_of(decay)) for decay in by_panel[panel.content]]
        rows = pd.concat(frames, ignore_index=True)
        lines(panel.axes, rows, x="lag", y="log10_median", name="line", palette=palette, lw=WIDTH)
        _show_all(panel.axes, rows, list(palette))
        for decay in by_panel[panel.content]:
            draw_band_and_bound(panel.axes, decay, palette[line_of(decay)].color)
        panel.axes.axhline(FAINT, color=GREY, lw=1.1, ls=":", zorder=1)
        panel.axes.set_title(label(panel.content))
        panel.axes.set_xlabel("lag t − k (steps)" if panel.bottom else "")
        panel.axes.set_ylabel(quantity if panel.left else "")
    limits(made[0].axes, drawn)
    legend(figure, title, _handles(drawn, palette, line_of))
    return figure, drawn, len(by_panel) - len(kept)


def _show_all(axes: Axes, rows: pd.DataFrame, order: Sequence[str]) -> None:
    """Make curves wider that later ones cover: what coincides, as norms that stay at 1 do, is seen to.

    Args:
        order: of the names, in which the lines were drawn.
    """
    logs = rows[np.isfinite(rows["log10_median"])]
    if logs.empty:
        return
    logs = logs.assign(value=logs["log10_median"].clip(FLOOR, -FLOOR))
    curves = {str(name): part.set_index("lag")["value"] for name, part in logs.groupby("line")}
    names = [name for name in order if name in curves]
    apart = SAME * max(1.0, float(np.ptp(logs["value"].to_numpy(float))))
    for i, (name, drawn) in enumerate(zip(names, axes.get_lines(), strict=True)):
        covers = [(curves[name] - curves[other]).abs().max() <= apart for other in names[i + 1 :]]
        drawn.set_linewidth(WIDTH * (1 + sum(covers)))


def draw_band_and_bound(axes: Axes, decay: Decay, color: Any) -> None:
    """The band around the median, and the bound dashed."""
    found = decay.curve
    low, high = np.maximum(found.low, 2 * FLOOR), np.maximum(found.high, 2 * FLOOR)
    axes.fill_between(found.x, low, high, color=color, alpha=0.16, lw=0, where=np.isfinite(found.high))
    if decay.bound is not None:
        axes.plot(decay.bound.x, decay.bound.median, color=color, ls=(0, (4, 2.5)), lw=1.0)


def limits(axes: Axes, drawn: Iterable[Decay]) -> None:
    """A common y-range that holds every median down to the floor; a bound may leave it."""
    drawn = list(drawn)
    lows = np.concatenate([decay.curve.median for decay in drawn])
    highs = np.concatenate([decay.curve.high for decay in drawn])
    bottom = max(FLOOR, float(lows[np.isfinite(lows)].min(initial=-1.0)))
    top = min(-FLOOR, float(highs[np.isfinite(highs)].max(initial=0.5)))
    span = top - bottom
    bounds = [decay.bound.median.max() for decay in drawn if decay.bound is not None]
    top = max([top, *(min(bound, top + BOUND_ROOM * span) for bound in bounds)])
    axes.set_ylim(bottom - MARGIN * span, top + MARGIN * span)
    decades(axes)


def remarks(drawn: Sequence[Decay], panels_left_out: int, slices_left_out: int) -> str:
    """How to read the curves, as far as it applies to those that are drawn."""
    words = [f"Median over {_observed(drawn)}, band from the 10 % to the 90 % quantile."]
    if any(decay.bound is not None for decay in drawn):
        words.append("Dashed: the bound (β_W β_h)^(t−k) of the simple RNN; it may leave the panel.")
    if any(np.isneginf(decay.curve.median).any() for decay in drawn):
        words.append("Where a curve has a gap or ends, the norm is exactly zero.")
    if any((np.isneginf(decay.curve.low) & np.isfinite(decay.curve.median)).any() for decay in drawn):
        words.append("Where a band falls to the bottom, some samples are exactly zero.")
    if any(((decay.curve.median < FLOOR) & np.isfinite(decay.curve.median)).any() for decay in drawn):
        words.append("Smaller norms are in the table.")
    if panels_left_out:
        words.append(f"{counted(panels_left_out, 'further panel')} in tables/gradient_decay_summary.csv.")
    if slices_left_out:
        other = counted(slices_left_out, "other combination")
        words.append(f"{other} of inputs and sizes in tables/gradient_decay_summary.csv.")
    return " ".join(words)


def _observed(drawn: Sequence[Decay]) -> str:
    """ "3 seeds × 4 samples", "3 to 5 seeds × 4 samples"; "12 curves" where there is no saying of seeds."""
    if any(not decay.seeds for decay in drawn):
        return _range([decay.observations for decay in drawn], "curve")
    seeds = _range([decay.seeds or 0 for decay in drawn], "seed")
    return f"{seeds} × {_range([decay.observations // (decay.seeds or 1) for decay in drawn], 'sample')}"


def _range(numbers: Sequence[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    return counted(high, noun) if low == high else f"{low} to {counted(high, noun)}"


def _handles(
    drawn: Sequence[Decay], palette: Mapping[str, Look], line_of: Callable[[Decay], str]
) -> list[Line2D]:
    present = {line_of(decay) for decay in drawn}
    handles = [handle(name, look, marker=False) for name, look in palette.items() if name in present]
    if any(decay.bound is not None for decay in drawn):
        handles.append(Line2D([], [], color=GREY, ls=(0, (4, 2.5)), lw=1.0, label="bound (same colour)"))
    return [*handles, Line2D([], [], color=GREY, lw=1.1, ls=":", label="1 %")]
