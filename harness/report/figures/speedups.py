"""The fastest backend against each of its peers, per cell and pass: geometric mean, and the worst point."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from harness.report.drawing import INK, legend, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.speedups import speedups
from harness.report.words import NOT_AVAILABLE, missing, phrase, setting, times

LIMIT = 6.0
"""log2 of the ratio at which the colours end: 64 times faster or slower."""


@figure("speedups", question="speedups", order=10)
def draw(run: Run) -> Iterator[Picture]:
    summary = speedups(run)
    if summary is None or not summary.kinds:
        return
    ours = summary.frame[summary.frame["backend"] == summary.champion]
    data = ours.dropna(subset=summary.kinds).reset_index(drop=True)
    data["kind"] = [setting({axis: row[axis] for axis in summary.kinds}) for _, row in data.iterrows()]
    peers = list(ours.groupby("peer")["speedup"].mean().sort_values().index)
    kinds = list(dict.fromkeys(data["kind"]))
    drawn, (panel,) = panels([["all"]], height=0.6 + 0.3 * len(kinds), columns=1)
    _matrix(panel.axes, data, peers, kinds)
    panel.axes.set_xlabel("against")
    title = phrase(f"Speed of {summary.champion} over each other backend")
    legend(drawn, title)
    caption = (
        "Geometric mean over all sizes of the other's time over that of "
        f"{summary.champion}, and the worst single case. Blue: {summary.champion} is faster; "
        "grey: no case that both ran."
    )
    yield Picture("speedups", title, caption, data, drawn)


def _matrix(axes: Axes, data: pd.DataFrame, peers: list[str], kinds: list[str]) -> None:
    def table(column: str) -> pd.DataFrame:
        return data.pivot(index="kind", columns="peer", values=column).reindex(index=kinds, columns=peers)

    means, worst = table("speedup"), table("worst")
    words = np.array(
        [
            ["" if missing(m) else f"{times(m)}, worst {times(w)}" for m, w in zip(ms, ws, strict=True)]
            for ms, ws in zip(means.to_numpy(), worst.to_numpy(), strict=True)
        ]
    )
    sns.heatmap(
        np.log2(means),
        ax=axes,
        annot=words,
        fmt="",
        annot_kws={"fontsize": 7.5},
        cmap=mpl.colormaps["RdBu"],
        norm=TwoSlopeNorm(0.0, -LIMIT, LIMIT),
        cbar=False,
        xticklabels=False,
        yticklabels=False,
        linewidths=0.8,
        linecolor="white",
    )
    axes.set_facecolor("#e5e7eb")
    axes.grid(visible=False)
    for row, column in np.argwhere(means.isna().to_numpy()):
        axes.text(column + 0.5, row + 0.5, NOT_AVAILABLE, ha="center", va="center", fontsize=7.5, color=INK)
    axes.set_xticks(np.arange(len(peers)) + 0.5, [label(name) for name in peers], rotation=0)
    axes.set_yticks(np.arange(len(kinds)) + 0.5, [label(name) for name in kinds], rotation=0)
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
