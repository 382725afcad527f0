"""Power: how often a slowdown of a given size is found, by the number of processes, at this run's spread."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.ticker import PercentFormatter

from harness.report.drawing import GREY, handle, legend, looks, panels
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.certainty import certainty
from harness.report.words import counted, percent

TARGET = 0.9


@figure("power", question="certainty", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = certainty(run)
    if found is None:
        return
    replicates = sorted(set(found.power["replicates"].astype(int).tolist()))
    named = {n: counted(n, "process", "processes") for n in replicates}
    colored = looks(list(named.values()))
    drawn, (panel,) = panels([["all"]], height=2.6, columns=1)
    axes = panel.axes
    for n, name in named.items():
        part, look = found.power[found.power["replicates"] == n], colored[name]
        axes.plot(
            *(100 * part["slowdown"], part["power"]),
            color=look.color,
            marker=look.marker,
            linestyle=look.linestyle,
        )
    axes.axhline(TARGET, color=GREY, linestyle="--", linewidth=0.9)
    axes.set_xscale("log")
    ticks = [100 * s for s in sorted(found.power["slowdown"].unique())]
    axes.set_xticks(ticks, [f"{tick:g} %" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("true slowdown")
    axes.set_ylabel("trials that find it")
    title = "Power to find a slowdown at this run's spread"
    legend(drawn, title, [handle(name, look) for name, look in colored.items()])
    caption = (
        f"One comparison, judged by itself, before the correction over a grid; ratios within a "
        f"replicate differ by {percent(found.spread.pairs)} between replicates. A "
        f"difference below 3 % is of no practical importance. Dashed: {percent(TARGET)}."
    )
    yield Picture("power", title, caption, found.power, drawn)
