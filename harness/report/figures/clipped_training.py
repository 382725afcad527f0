"""Clipping over training: the loss along it, and the decay after it, one line per clipping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.report.decay_panels import FLOOR, MARGIN
from harness.report.drawing import GREY, INK, Look, legend, lines, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.clipped_training import ClippedTrainings, clipped_trainings
from harness.report.summaries.grouping import Setting, groups, most_populated, records, rows_of
from harness.report.summaries.learning import loss_of, trained
from harness.report.summaries.slices import common
from harness.report.ticks import decades, log10_axis, plain_power
from harness.report.words import counted, percent, phrase, setting, split_constant

MAX_ROWS = 4
NONE = "no clipping"
SHOWN = ("cell", "initialization", "gain", "forget_bias", "seq_len")
"""Axes that may differ from row to row."""
SMOOTHED = 0.05
"""Share of all steps that a point of a loss curve is the median of."""


@dataclass(frozen=True)
class Content:
    """One panel: what is shown of the trainings of one setting, with the clippings at one place."""

    shared: Setting
    place: str
    shown: str
    title: str


@figure("clipped_training", question="clipped_training", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = clipped_trainings(run)
    if found is None:
        return
    yield _picture("clipped_training", found, found.settings)
    same = [axis for axis in found.same if axis not in SHOWN]
    leaps = found.settings.groupby(same, dropna=False)["diverged"].transform("sum") > 0
    if leaps.any() and not rows_of(found.settings[leaps], _slice(found, found.settings)).shape[0]:
        yield _picture("clipped_training_leaping", found, found.settings[leaps])


def _slice(found: ClippedTrainings, settings: pd.DataFrame) -> Setting:
    """What the settings share that a picture of these shows."""
    rows = common(settings, found.same, SHOWN).rows
    return {axis: rows[axis].iloc[0] for axis in found.same if axis not in SHOWN}


def _picture(name: str, found: ClippedTrainings, settings: pd.DataFrame) -> Picture:
    """Of those settings that share everything but what may differ from row to row, and are the most."""
    chosen = common(settings, found.same, SHOWN)
    varying, constant = split_constant(chosen.rows, SHOWN)
    rows, left_out = most_populated(chosen.rows, varying, limit=MAX_ROWS)
    clipped = chosen.rows[chosen.rows["clipped"] != NONE]
    places = list(dict.fromkeys(clipped["place"]))
    # without clipping comes last, dotted: what it covers is seen through it
    palette = looks(list(dict.fromkeys(clipped["clipped"]))) | {NONE: Look(INK, "", (1, 1))}
    of_slice = _slice(found, settings)
    contents = [
        [
            Content(row, place, shown, setting(row))
            for place in places
            if (rows_of(clipped, row)["place"] == place).any()
            for shown in ("loss", "decay")
        ]
        for row in rows
    ]
    where = setting({axis: of_slice[axis] for axis in of_slice if axis in ("task", "hidden_size")})
    title = phrase("Clipping over training", setting(constant), where, trained(of_slice))
    drawn, made = panels(contents, columns=2 * len(places), height=2.5, share_x=False, share_y=False)
    data = []
    for panel in made:
        content: Content = panel.content
        source = found.losses if content.shown == "loss" else found.decays
        part = rows_of(source, {**of_slice, **content.shared})
        part = part[(part["place"] == content.place) | (part["clipped"] == NONE)]
        part = _smooth(part) if content.shown == "loss" else part
        own = rows_of(chosen.rows, content.shared)
        (_loss if content.shown == "loss" else _decay)(panel.axes, part, palette, own)
        panel.axes.set_title(f"{label(content.title)}\n{label(f'at the {content.place}')}".strip())
        data.append(part.assign(shown=content.shown))
    handles = [
        Line2D([], [], color=look.color, ls=look.linestyle, lw=1.8, label=name)
        for name, look in palette.items()
    ]
    handles += [
        Line2D([], [], color=INK, lw=3.2, alpha=0.25, label="decay before training"),
        Line2D([], [], color=GREY, lw=1.1, ls=":", label="loss of knowing nothing"),
    ]
    legend(drawn, title, handles)
    caption = (
        f"Loss of the batch, median over seeds and {percent(SMOOTHED)} of the steps; a line that ends early "
        "solved its task, or diverged (×). Decay: ‖∂h_T/∂h_k‖₂ of the network as training left it, medians "
        "over seeds."
    )
    caption += chosen.remark("tables/clipped_training_summary.csv")
    if left_out:
        caption += f" {counted(left_out, 'further setting')} in tables/clipped_training_summary.csv."
    return Picture(name, title, caption, pd.concat(data, ignore_index=True), drawn)


def _smooth(losses: pd.DataFrame) -> pd.DataFrame:
    """Each loss replaced by the median of those around it."""
    wide = max(1, round(SMOOTHED * float(losses["step"].max())))
    parts = [
        part.assign(loss=part["loss"].rolling(wide, center=True, min_periods=1).median())
        for _, part in groups(losses, ["clipped"])
    ]
    return pd.concat(parts) if parts else losses


def _loss(axes: Axes, part: pd.DataFrame, palette: dict[str, Look], own: pd.DataFrame) -> None:
    lines(axes, part, x="step", y="loss", name="clipped", palette=palette, lw=1.4)
    for row in records(own[own["diverged"] > 0]):
        ends = part[part["clipped"] == row["clipped"]]
        if len(ends):
            last = ends.loc[ends["step"].idxmax()]
            color = palette[row["clipped"]].color
            axes.plot(last["step"], last["loss"], "x", color=color, ms=7, mew=2, clip_on=False)
    axes.axhline(float(own["baseline"].iloc[0]), color=GREY, lw=1.1, ls=":", zorder=1)
    axes.set_yscale("log")
    log10_axis(axes.yaxis, plain_power)
    axes.set_xlim(0, 1.02 * float(own["steps_done"].max()))
    axes.set_xlabel("training step")
    axes.set_ylabel(loss_of(own["task"].iloc[0]))


def _decay(axes: Axes, part: pd.DataFrame, palette: dict[str, Look], own: pd.DataFrame) -> None:
    before = part[part["when"] == "before"].drop_duplicates("lag")
    values = before["log10_spectral_norm"].to_numpy(float)
    axes.plot(before["lag"], np.where(np.isfinite(values), values, np.nan), color=INK, lw=3.2, alpha=0.25)
    after = part[part["when"] == "after"]
    lines(axes, after, x="lag", y="log10_spectral_norm", name="clipped", palette=palette, lw=1.4)
    _limits(axes, part["log10_spectral_norm"].to_numpy(float))
    axes.set_xlabel("lag T − k (steps)")
    axes.set_ylabel("‖∂h_T/∂hₖ‖₂")


def _limits(axes: Axes, values: Any) -> None:
    finite = values[np.isfinite(values)]
    bottom, top = max(FLOOR, finite.min(initial=0.0)), min(-FLOOR, finite.max(initial=0.0))
    margin = MARGIN * max(top - bottom, 1.0)
    axes.set_ylim(bottom - margin, top + margin)
    decades(axes)
