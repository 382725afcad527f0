"""Bits per character against memory: counting models in a line, networks as points; and along training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.ticker import FuncFormatter

from harness.report.drawing import GREY, handle, legend, looks, panels
from harness.report.escape import label
from harness.report.frames import Run
from harness.report.pictures import Picture, figure
from harness.report.summaries.grouping import Setting, groups, rows_of
from harness.report.summaries.language_model import language_models
from harness.report.words import phrase, plain, setting, size, split_constant

UNSPOKEN = ("evaluations",)
"""Axes that no name needs where the rest tells networks apart: how it was measured."""


@figure("language_model", question="language_model", order=10)
def draw(run: Run) -> Iterator[Picture]:
    found = language_models(run)
    if found is None:
        return
    varying, constant = split_constant(found.networks, [a for a in found.axes if a != "cell"])
    named = ["cell", *varying]
    settings = [chosen for chosen, _ in groups(found.networks, named)]
    names = _names(settings, [axis for axis in varying if axis not in UNSPOKEN]) or _names(settings, varying)
    palette = looks(names)
    shown = ("seq_len", "batch_size", "hidden_size")
    sizes = {axis: value for axis, value in constant.items() if axis in shown}
    title = phrase("What a character costs, and the memory for it", setting(sizes))
    drawn, (memory, along) = panels([["memory", "along"]], columns=2, height=3.6, share_x=False)
    memory.axes.plot(
        found.ngrams["memory_bytes"], found.ngrams["bits_per_character"], color=GREY, marker="s", ms=4, lw=1.2
    )
    for row in found.ngrams.to_dict("records"):
        memory.axes.annotate(
            plain(row["order"]),
            (row["memory_bytes"], row["bits_per_character"]),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=8,
            color=GREY,
        )
    for name, (chosen, part) in zip(names, groups(found.networks, named), strict=True):
        look = palette[name]
        memory.axes.plot(
            part["memory_bytes"],
            part["bits_per_character"],
            ls="",
            marker=look.marker,
            ms=8,
            color=look.color,
        )
        curve = rows_of(found.along, chosen)
        along.axes.plot(
            curve["step"], curve["bits_per_character"], color=look.color, ls=look.linestyle, lw=1.6
        )
    memory.axes.set_xscale("log", base=4)
    memory.axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size(value)))
    memory.axes.set_xlabel("memory")
    memory.axes.set_ylabel("bits per character, held out")
    memory.axes.set_title(label("counting models by order (grey), networks"))
    along.axes.axhline(found.best_ngram["bits_per_character"], color=GREY, lw=1.1, ls=":")
    along.axes.set_xlabel("training step")
    along.axes.set_title(label("along training; dotted: the best counting model"))
    trained = found.along[found.along["step"] > 0]["bits_per_character"]
    if len(trained) > 1:
        along.axes.set_ylim(*_room(trained, float(found.best_ngram["bits_per_character"])))
    legend(drawn, title, [handle(name, look) for name, look in palette.items()])
    columns = [*named, "bits_per_character", "memory_bytes"]
    yield Picture(
        "language_model",
        title,
        f"Means over seeds; training begins above the panel. {found.remark}".strip(),
        found.networks[columns],
        drawn,
    )


def _room(trained: pd.Series, best: float) -> tuple[float, float]:
    """Limits that show every reading of a network that has learned, and the best counting model."""
    low, high = min(float(trained.min()), best), max(float(trained.max()), best)
    margin = 0.08 * (high - low) or 0.1
    return low - margin, high + margin


def _names(settings: Sequence[Setting], axes: Sequence[str]) -> list[str]:
    """A name for each setting; none where these axes do not tell all of them apart."""
    names = [phrase(str(own["cell"]), setting({axis: own[axis] for axis in axes})) for own in settings]
    return names if len(set(names)) == len(names) else []
