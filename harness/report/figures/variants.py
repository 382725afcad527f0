"""What each variant of the LSTM costs and brings: held-out loss and time over the LSTM's, with intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.report.drawing import GREY, MAX_PANELS, legend, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.variants import BETTER, MARGIN, WORSE, variants
from harness.report.words import counted, plain

UNLEARNED = "unlearned"
"""Where there is nothing to judge: a network beside the LSTM, and neither learned."""
COLORS = {WORSE: "#b91c1c", BETTER: "#15803d", "": "#1f2937", UNLEARNED: "#9ca3af"}
"""By verdict; the shape says the same."""
MARKERS = {WORSE: "v", BETTER: "^", "": "o", UNLEARNED: "x"}

VERDICTS = {
    BETTER: f"better: certain, and by more than {MARGIN:g} of what knowing nothing costs",
    WORSE: f"worse: certain, and by more than {MARGIN:g} of it",
    "": "about the same, undecided, or a time, which is not judged",
    UNLEARNED: "neither had learned anything",
}


@figure("variants", question="variants", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = variants(run)
    if found is None:
        return
    verdicts = found.tasks["verdict"].where(found.tasks["learned"].astype(bool), UNLEARNED)
    parts = [
        ("loss", found.tasks.assign(verdict=verdicts)),
        ("time", found.times.assign(verdict="") if len(found.times) else None),
    ]
    data = pd.concat([part.assign(quantity=name) for name, part in parts if part is not None])
    data = data[["quantity", "where", "cell", "ratio", "low", "high", "units", "verdict"]]
    data = data[data["ratio"] > 0].reset_index(drop=True)
    cells = found.cells["cell"].tolist()[:0:-1]
    shown = list(dict.fromkeys(zip(data["quantity"], data["where"], strict=True)))
    height = 0.9 + 0.24 * len(cells)
    drawn, made = panels([shown[:MAX_PANELS]], columns=3, height=height, share_x=False, share_y=True)
    for panel in made:
        quantity, where = panel.content
        rows = data[(data["quantity"] == quantity) & (data["where"] == where)]
        panel.axes.axvline(1.0, color=GREY, lw=1.1, ls=":", zorder=1)
        for verdict, own in rows.groupby("verdict", sort=False):
            places = [cells.index(cell) for cell in own["cell"]]
            ends = [(own["ratio"] - own["low"]).fillna(0.0), (own["high"] - own["ratio"]).fillna(0.0)]
            panel.axes.errorbar(
                own["ratio"], places, xerr=np.abs(ends), fmt=MARKERS[str(verdict)], ms=6, lw=1.4, capsize=3,
                color=COLORS[str(verdict)], clip_on=True,
            )  # fmt: skip
        panel.axes.set_xscale("log")
        panel.axes.set_xlim(*_limits(rows["ratio"]))
        panel.axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        panel.axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
        panel.axes.xaxis.set_minor_locator(NullLocator())
        panel.axes.set_yticks(range(len(cells)), [label(cell) for cell in cells])
        panel.axes.set_ylim(-0.6, len(cells) - 0.4)
        what = "training pass, time" if quantity == "time" else "held-out loss"
        panel.axes.set_title(label(f"{what}: {where}" if where else what))
        panel.axes.set_xlabel("over the LSTM's")
    title = "What one part more or less does to an LSTM"
    handles = [
        Line2D([], [], color=COLORS[verdict], marker=MARKERS[verdict], ls="", ms=6, label=words)
        for verdict, words in VERDICTS.items()
        if (data["verdict"] == verdict).any()
    ]
    legend(drawn, title, handles)
    caption = (
        "Geometric means over pairs that differ in the cell alone, with 95 % intervals, cut at the edges."
    )
    if len(shown) > MAX_PANELS:
        caption += f" {counted(len(shown) - MAX_PANELS, 'further panel')} in tables/variants_summary.csv."
    yield Picture("variants", title, caption, data, drawn)


def _limits(ratios: pd.Series) -> tuple[float, float]:
    """Twice as far as any ratio, and never so near 1 that nothing could be read."""
    return min(0.5, float(ratios.min()) / 2), max(2.0, float(ratios.max()) * 2)
