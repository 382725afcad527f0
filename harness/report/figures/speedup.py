"""Speed-up over the reference backend as a heat map: blue is faster, red slower, hatched not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Rectangle

from harness.report.drawing import INK, Panel, legend, panels
from harness.report.escape import file_stem, label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, ascending, groups, most_populated, rows_of
from harness.report.summaries.throughput import Throughput, throughput
from harness.report.words import NOT_AVAILABLE, counted, listed, setting, split_constant, times

MAX_ROWS = 24
LIMIT = 6.0
"""log2 of the ratio at which the colours end: 64 times faster or slower."""
MARKS = {"same": "=", "ambiguous": "?", "invalid": "†"}
"""Stand beside a ratio that is not certain, or not worth the name of a difference."""


@figure("speedup", question="throughput", order=20)
def draw(run: Run) -> Iterator[Picture]:
    summary = throughput(run)
    if summary is None or summary.reference is None or "seq_len" not in summary.frame:
        return
    for chosen, part in groups(summary.frame, [a for a in ("pass",) if a in summary.axes]):
        if ((part["backend"] != summary.reference) & part["speedup"].notna()).any():
            yield _picture(run, summary, part, chosen)


def _picture(run: Run, summary: Throughput, part: pd.DataFrame, chosen: Setting) -> Picture:
    varying, constant = split_constant(
        part, [a for a in summary.axes if a not in ("seq_len", "cell", "pass")]
    )
    beside = part[(part["backend"] != summary.reference) & part["speedup"].notna()]
    rows, left_out = most_populated(beside, ["cell", *varying], limit=MAX_ROWS)
    data = pd.concat([rows_of(beside, row) for row in rows]).reset_index(drop=True)
    compared = [name for name in run.backends if (data["backend"] == name).any()]
    lengths = ascending(data["seq_len"].tolist())
    marks = MARKS if (data["processes"] > 1).any() else {}
    title = f"Speed-up over {summary.reference}, {setting(chosen)}"
    title = ", ".join(filter(None, [title, setting(constant)]))
    drawn, made = panels([compared], height=0.55 + 0.27 * len(rows))
    for panel in made:
        _panel(panel, rows, data[data["backend"] == panel.content], lengths, marks)
    legend(drawn, title)
    _color_bar(drawn, [panel.axes for panel in made], f"time of {summary.reference} over the backend's")
    absent = [name for name in run.backends if name not in compared and name != summary.reference]
    caption = (
        f"Time of {summary.reference} over the time of each backend, on the same case: above 1× is faster."
        f" Hatched: not measured."
    )
    shown = [f"{mark} {word}" for word, mark in marks.items() if (data["verdict"] == word).any()]
    if shown:
        caption += f" Verdicts: {', '.join(shown)}; without a mark, certainly faster or slower."
    if absent:
        caption += f" Nowhere measured beside {summary.reference}: {listed(absent)}."
    if left_out:
        caption += f" {counted(left_out, 'further row')} in tables/throughput_summary.csv."
    name = file_stem("_".join(["speedup", *map(str, chosen.values())]))
    return Picture(name, title, caption, data, drawn)


def _panel(
    panel: Panel[Any], rows: list[Setting], data: pd.DataFrame, lengths: list[Any], marks: Mapping[str, str]
) -> None:
    ratios = np.full((len(rows), len(lengths)), np.nan)
    words = np.full(ratios.shape, "", dtype=object)
    for r, row in enumerate(rows):
        columns = rows_of(data, row)[["seq_len", "speedup", "verdict"]]
        for length, ratio, verdict in columns.itertuples(index=False):
            ratios[r, lengths.index(length)] = ratio
            words[r, lengths.index(length)] = f"{times(ratio)}{marks.get(verdict, '')}"
    axes = panel.axes
    sns.heatmap(
        np.log2(ratios),
        ax=axes,
        annot=words,
        fmt="",
        annot_kws={"fontsize": 7.5},
        cmap=_colors(),
        norm=_norm(),
        cbar=False,
        linewidths=0.6,
        linecolor="white",
    )
    for r, c in np.argwhere(np.isnan(ratios)):
        axes.add_patch(Rectangle((c, r), 1, 1, facecolor="#e5e7eb", edgecolor="#9ca3af", hatch="////", lw=0))
        axes.add_patch(Rectangle((c, r), 1, 1, fill=False, edgecolor="white", lw=1.2))
        paper = {"facecolor": "#e5e7eb", "edgecolor": "none", "pad": 1.0}
        axes.text(
            *(c + 0.5, r + 0.5, NOT_AVAILABLE), ha="center", va="center", fontsize=7, color=INK, bbox=paper
        )
    axes.set_title(label(panel.content))
    axes.set_xticks(np.arange(len(lengths)) + 0.5, [f"{length:g}" for length in lengths], rotation=0)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [label(setting(row)) for row in rows], rotation=0)
    axes.tick_params(length=0, labelleft=panel.left)
    axes.set_xlabel("sequence length T (steps)")
    axes.set_ylabel("")


def _colors() -> Any:
    return mpl.colormaps["RdBu"]


def _norm() -> TwoSlopeNorm:
    return TwoSlopeNorm(0.0, -LIMIT, LIMIT)


def _color_bar(drawn: Any, axes: list[Any], quantity: str) -> None:
    scale = mpl.cm.ScalarMappable(norm=_norm(), cmap=_colors())
    bar = drawn.colorbar(scale, ax=axes, extend="both", aspect=25, pad=0.01, fraction=0.05)
    ticks = [-6, -4, -2, 0, 2, 4, 6]
    bar.set_label(label(quantity))
    bar.set_ticks(ticks, labels=[_factor(tick) for tick in ticks])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)


def _factor(log2: int) -> str:
    return f"{2**log2}×" if log2 >= 0 else f"1/{2**-log2}×"
