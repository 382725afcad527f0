"""Does decay predict learnability?  The decay before training against the steps that it took to solve.

Two pictures of the same trainings: by how far the gradient's norm had fallen over the whole sequence, and by
how many steps it took to fall by half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.report.drawing import GREY, INK, MAX_PANELS, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import groups, most_populated, rows_of
from harness.report.summaries.learning import ENDS, foretold, learnings
from harness.report.words import counted, percent, plain, significant, superscript

FLOOR = -30.0
"""log10 of the norm at which the x-axis begins at the latest: what lies below stands on the edge."""
MOST_CELLS = 6
"""That have a colour of their own; more cannot be told apart."""
OTHERS = "other cells"
STARTS = "osD^vP"
"""The marks of as many initializations; more cannot be told apart."""
OTHER_STARTS = "other initializations"
KINDS = ["task", "seq_len", "way"]
"""What tells trainings apart of which one may be held against another."""
LANES = dict(zip(ENDS[1:], (1.13, 1.27), strict=True))
"""Where those stand that did not solve their task: above all steps, in units of these."""
DRAWN = ["task", "cell", "variant", "clipped", "seq_len", "seed", "end", "steps_done"]


@dataclass(frozen=True)
class View:
    """What of the decay before training stands on the x-axis.

    Args:
        reach: of trainings; the larger, the farther the gradient reaches; −inf, inf and NaN as they are.
        place: of reaches on the axis, as log10.
        tick: what is written at a place.
        edge: how a training there comes to stand on the edge, by whether it is the left or the right one.
    """

    name: str
    title: str
    axis: str
    column: str
    reach: Callable[[pd.DataFrame], pd.Series]
    place: Callable[[float], float]
    tick: Callable[[float], str]
    edges: Mapping[str, str]


VIEWS = (
    View(
        name="learning_foretold",
        title="Steps to solve a task, by how much of the gradient was left before training",
        axis="‖∂h_T/∂h₀‖₂ before training",
        column="log10_norm_before",
        reach=lambda rows: rows["log10_norm_before"].astype(float),
        place=lambda log10: log10,
        tick=lambda value: f"10{superscript(value)}",
        edges={"left": f"Norms below 10{superscript(FLOOR)} stand on the left edge."},
    ),
    View(
        name="learning_half_life",
        title="Steps to solve a task, by how soon the gradient halved before training",
        axis="half-life before training, over T",
        column="half_life_before",
        reach=lambda rows: (
            (rows["half_life_before"].astype(float) / rows["seq_len"].astype(float))
            .fillna(np.inf)
            .where(rows["log10_norm_before"].notna())
        ),
        place=lambda share: float(np.log10(share)) if share > 0 else -np.inf,
        tick=lambda value: significant(10.0**value, 1),
        edges={
            "left": "Half-lives of 0, of norms that are exactly zero, stand on the left edge.",
            "right": "Norms that do not fall, and never halve, stand on the right edge.",
        },
    ),
)


@dataclass(frozen=True)
class Shown:
    """Args:
    rows: the trainings of all panels.
    settings: of KINDS, one per panel.
    alike: how many panels were left out because all in them ended alike.
    left_out: how many for want of room.
    colors: of cells.
    markers: of initializations.
    """

    rows: pd.DataFrame
    settings: list[dict[str, object]]
    alike: int
    left_out: int
    colors: Mapping[str, Any]
    markers: Mapping[str, str]


@figure("learning_foretold", question="learning", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = learnings(run)
    if found is None:
        return
    shown = _shown(found.trainings)
    for view in VIEWS:
        yield _picture(view, shown)


def _shown(trainings: pd.DataFrame) -> Shown:
    """What there is room for, of trainings that can be told apart where there are any."""
    told_apart = [part for _, part in groups(trainings, KINDS) if foretold(part) is not None]
    alike = trainings[KINDS].drop_duplicates().shape[0] - len(told_apart) if told_apart else 0
    data = pd.concat(told_apart) if told_apart else trainings
    settings, left_out = most_populated(data, KINDS, limit=MAX_PANELS)
    data = pd.concat([rows_of(data, setting) for setting in settings])
    cells, more_cells = most_populated(data, ["cell"], limit=MOST_CELLS)
    starts, more_starts = most_populated(data, ["initialization"], limit=len(STARTS))
    colors = {cell: look.color for cell, look in looks([str(own["cell"]) for own in cells]).items()}
    markers = {str(own["initialization"]): mark for own, mark in zip(starts, STARTS, strict=False)}
    data = data.assign(
        color=data["cell"].where(data["cell"].isin(colors), OTHERS),
        mark=data["initialization"].where(data["initialization"].isin(markers), OTHER_STARTS),
        open=data["rule"] == "none",
    )
    return Shown(
        data,
        settings,
        alike,
        left_out,
        {**colors, **({OTHERS: GREY} if more_cells else {})},
        {**markers, **({OTHER_STARTS: "*"} if more_starts else {})},
    )


def _picture(view: View, shown: Shown) -> Picture:
    reach = view.reach(shown.rows)
    places = np.array([view.place(value) for value in reach], float)
    low, high, edge = _edges(places, view)
    data = shown.rows.assign(reach=reach, x=np.where(np.isposinf(places), edge, np.maximum(places, low)))
    drawn, made = panels([shown.settings], columns=3, height=2.9, share_x=True, share_y=False)
    several = [(own["task"], own["seq_len"]) for own in shown.settings]
    for panel in made:
        part = rows_of(data, panel.content)
        _marks(panel.axes, part, shown)
        told = foretold(part, by="reach")
        note = "" if told is None else f"; foretold {percent(told.share)} of pairs"
        own = panel.content["task"], panel.content["seq_len"]
        way = [label(panel.content["way"])] if several.count(own) > 1 else []
        panel.axes.set_title("\n".join([label(f"{own[0]}, T={plain(own[1])}{note}"), *way]))
        panel.axes.axvline(0.0, color=GREY, lw=1.0, ls=":", zorder=1)
        panel.axes.set_xlabel(view.axis if panel.bottom else "")
        panel.axes.set_ylabel("steps to solve" if panel.left else "")
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10], integer=high - low > 2.0).tick_values(low, high)
    ticks = [tick for tick in ticks if low <= tick <= high]
    words = [view.tick(tick) for tick in ticks]
    never = bool(np.isposinf(places).any()) and "right" in view.edges
    if never:
        ticks, words = [*ticks, edge], [*words, "never"]
        for panel in made:
            panel.axes.axvline(edge, color=GREY, lw=0.8, zorder=1)
    room = 0.04 * (max(high, edge) - low)
    made[0].axes.set_xticks(ticks, words)
    made[0].axes.set_xlim(low - room, max(high, edge) + room)
    legend(drawn, view.title, _handles(shown))
    caption = _caption(view, shown, {"left": bool((places < low).any()), "right": never})
    columns = list(dict.fromkeys([*DRAWN, "log10_norm_before", view.column]))
    return Picture(view.name, view.title, caption, data[columns], drawn)


def _edges(places: np.ndarray, view: View) -> tuple[float, float, float]:
    """Where the axis begins, where the last number stands, and where those stand that have none."""
    finite = places[np.isfinite(places)]
    low = max(float(finite.min()), FLOOR) if len(finite) else -1.0
    high = max(float(finite.max()), low + 0.5, 0.0) if len(finite) else 0.0
    beside = 0.15 * (high - low)
    if np.isneginf(places).any():
        low = low - beside if "right" in view.edges else FLOOR
    return low, high, high + beside if np.isposinf(places).any() else high


def _marks(axes: Axes, part: pd.DataFrame, shown: Shown) -> None:
    """The solved at their steps, the others in a lane each; open marks are larger, and show what is under."""
    steps = float(part["steps"].astype(float).max()) if "steps" in part else float(part["steps_done"].max())
    lanes = {end: steps * height for end, height in LANES.items() if (part["end"] == end).any()}
    y = part["steps_done"].astype(float).where(part["end"] == ENDS[0], part["end"].map(lanes))
    part = part.assign(y=y.astype(float))
    for (cell, mark, unclipped), rows in part.groupby(["color", "mark", "open"], sort=False):
        color = shown.colors[str(cell)]
        axes.scatter(
            rows["x"],
            rows["y"],
            s=58 if unclipped else 22,
            marker=shown.markers[str(mark)],
            facecolors="none" if unclipped else [color],
            edgecolors=[color],
            lw=1.1 if unclipped else 0.4,
            alpha=0.85,
            zorder=3,
        )
    numbers = [tick for tick in MaxNLocator(4, integer=True).tick_values(0, steps) if 0 <= tick <= steps]
    axes.set_yticks([*numbers, *lanes.values()], [*(plain(int(number)) for number in numbers), *lanes])
    if lanes:
        axes.axhline(1.05 * steps, color=GREY, lw=0.8, zorder=1)
    axes.set_ylim(-0.04 * steps, max([1.05 * steps, *(height + 0.09 * steps for height in lanes.values())]))


def _handles(shown: Shown) -> list[Line2D]:
    """Of what is drawn, and of nothing else."""
    handles = [Line2D([], [], color=color, lw=4, label=cell) for cell, color in shown.colors.items()]
    handles += [
        Line2D([], [], color=INK, marker=mark, ls="", ms=5, label=start)
        for start, mark in shown.markers.items()
    ]
    if not shown.rows["open"].any():
        return handles
    mark = next(iter(shown.markers.values()))
    cut = "clipped" if not (shown.rows["rule"] == "truncated").any() else "clipped or truncated"
    if not shown.rows["open"].all():
        handles.append(Line2D([], [], color=INK, marker=mark, ls="", ms=4.5, label=f"filled: {cut}"))
    open_ = Line2D([], [], color=INK, marker=mark, mfc="none", ls="", ms=7.5, label="open: not clipped")
    return [*handles, open_]


def _caption(view: View, shown: Shown, on_edge: Mapping[str, bool]) -> str:
    edges = [words for side, words in view.edges.items() if on_edge[side]]
    words = [
        "Each mark is one training; those that did not solve their task stand above the line.",
        *edges,
        "Foretold: of all pairs of one that solved and one that did not, those in which the one that solved "
        "had the larger value.",
    ]
    if shown.alike:
        words.append(
            f"Left out: {counted(shown.alike, 'panel')} in which every training solved its task, or none."
        )
    if shown.left_out:
        words.append(f"{counted(shown.left_out, 'further panel')} in tables/learning.csv.")
    return " ".join(words)
