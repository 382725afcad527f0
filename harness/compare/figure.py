"""Every comparison as a point with its interval, coloured by its verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.compare.compare import Comparison, Row
from harness.compare.page import in_order, varying
from harness.report.drawing import GREY, INK, handle, legend, looks, panels
from harness.report.escape import label
from harness.report.words import setting

MOST = 48
"""Rows in one figure: those with a verdict before those without, the largest changes first."""
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
    rows = [row for row in in_order(comparison.rows) if np.isfinite(row.change.value)][:MOST]
    figure, (panel,) = panels([["all"]], height=0.7 + 0.21 * max(1, len(rows)), columns=1)
    axes = panel.axes
    data = pd.DataFrame(
        {"change": [100 * (row.change.value - 1) for row in rows], "row": np.arange(len(rows))}
    ).assign(verdict=[row.word for row in rows])
    for i, row in enumerate(rows):
        if np.isfinite(row.change.low):
            ends = [100 * (row.change.low - 1), 100 * (row.change.high - 1)]
            axes.plot(ends, [i, i], color=_COLORS[row.word], lw=2, solid_capstyle="butt", zorder=2)
    words = list(dict.fromkeys(row.word for row in rows))
    sns.scatterplot(
        data=data, x="change", y="row", hue="verdict", hue_order=words, palette=_COLORS, s=30, ax=axes,
        legend=False, zorder=3,
    )  # fmt: skip
    axes.axvline(0, color=INK, lw=1)
    within = 100 * comparison.threshold
    axes.axvspan(-within, within, color="#e5e7eb", zorder=0)
    axes.set_yticks(np.arange(len(rows)), [label(name) for name in _names(rows)])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel="change, now over before (%): right is slower, or larger", ylabel="")
    marks = looks(words)
    handles = [handle(word, marks[word]) for word in words]
    for mark, word in zip(handles, words, strict=True):
        mark.set(color=_COLORS[word], marker="o", linestyle="-")
    legend(
        figure,
        f"Change of each case, with its 95 % interval; within the band of {within:g} % none matters",
        handles,
    )
    return figure


def _names(rows: Sequence[Row]) -> list[str]:
    axes = varying(rows) if rows else []
    several = len({row.metric for row in rows}) > 1
    return [
        ", ".join(filter(None, [row.metric if several else "", setting({a: row.group.get(a) for a in axes})]))
        for row in rows
    ]
