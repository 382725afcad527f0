"""Every comparison as a point with its interval, coloured by its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.compare.compare import Comparison, Row
from harness.compare.page import in_order, varying
from harness.report.drawing import GREY, INK, handle, legend, looks, panels
from harness.report.escape import label
from harness.report.words import setting

MOST = 48
"""Rows in one figure: those with a verdict before those without, the largest changes first."""
LONGEST = 80
"""Characters of a row's name: its last tell sizes apart."""
ROOM = 1.25
"""How much further than the furthest point the axis goes, on logarithms."""
_COLORS = {
    "slower": "#d55e00",
    "larger": "#d55e00",
    "faster": "#029e73",
    "smaller": "#029e73",
    "same": GREY,
    "ambiguous": "#de8f05",
    "invalid": "#9ca3af",
}


def draw(comparison: Comparison) -> Figure:
    """The figure, to be made within `drawing.style`."""
    rows = [row for row in in_order(comparison.rows) if 0 < row.change.value < np.inf][:MOST]
    figure, (panel,) = panels([["all"]], height=0.7 + 0.21 * max(1, len(rows)), columns=1)
    axes = panel.axes
    data = pd.DataFrame({"change": [row.change.value for row in rows], "row": np.arange(len(rows))})
    data["verdict"] = [row.word for row in rows]
    for i, row in enumerate(rows):
        if np.isfinite(row.change.low):
            axes.plot(
                [row.change.low, row.change.high],
                [i, i],
                color=_COLORS[row.word],
                lw=2,
                solid_capstyle="butt",
                zorder=2,
            )
    words = list(dict.fromkeys(row.word for row in rows))
    sns.scatterplot(
        data=data, x="change", y="row", hue="verdict", hue_order=words, palette=_COLORS, s=30, ax=axes,
        legend=False, zorder=3,
    )  # fmt: skip
    axes.axvline(1.0, color=INK, lw=1)
    axes.axvspan(1 / (1 + comparison.threshold), 1 + comparison.threshold, color="#e5e7eb", zorder=0)
    cut = _frame(axes, rows, comparison.threshold)
    axes.set_yticks(np.arange(len(rows)), [label(name, length=LONGEST) for name in _names(rows)])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel="change, now over before (%): right is slower, or larger", ylabel="")
    marks = looks(words)
    handles = [handle(word, marks[word]) for word in words]
    for mark, word in zip(handles, words, strict=True):
        mark.set(color=_COLORS[word], marker="o", linestyle="-")
    legend(
        figure,
        f"Change of each case, with its 95 % interval{cut}; within the band of "
        f"{100 * comparison.threshold:g} % none matters",
        handles,
    )
    return figure


def _frame(axes: Axes, rows: Sequence[Row], threshold: float) -> str:
    """A logarithmic axis, as far to either side as the points need; in words, what intervals do.

    An interval from two processes may reach to a thousandfold, and would leave the points a line.
    """
    points = [abs(math.log(row.change.value)) for row in rows]
    reach = math.exp(ROOM * max([math.log1p(2 * threshold), *points]))
    axes.set_xscale("log")
    axes.set_xlim(1 / reach, reach)
    if reach < 2.0:
        axes.xaxis.set_major_locator(MaxNLocator(9))
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if reach < 30.0 else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _percent(ratio)))
    beyond = any(row.change.low < 1 / reach or row.change.high > reach for row in rows)
    return ", which may run out of the frame" if beyond else ""


def _percent(ratio: float) -> str:
    """2 -> "+100", 0.5 -> "−50"."""
    change = round(100 * (ratio - 1), 3)
    return f"{change:+g}".replace("-", "−") if change else "0"


def _names(rows: Sequence[Row]) -> list[str]:
    axes = varying(rows) if rows else []
    several = len({row.metric for row in rows}) > 1
    return [
        ", ".join(filter(None, [row.metric if several else "", setting({a: row.group.get(a) for a in axes})]))
        for row in rows
    ]
