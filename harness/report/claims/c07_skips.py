"""C7: skip connections carry gradients past the decay."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.grouping import groups
from harness.report.summaries.pairs import pairs
from harness.report.summaries.reach import STUDY, plus, reaches
from harness.report.words import counted

KINDS = (
    ("skip", "log10_far", "across time"),
    ("residual", "log10_through", "between layers"),
)
"""Word that a connection's part of a structure's name begins with, what it is judged by, where it leads."""


@claim(
    "C7",
    text="Skip connections carry gradients past the decay.",
    rule=(
        "Networks with and without skips are paired. Skips across time are judged by the largest norm beyond "
        "three quarters of the longest lag, residual connections by the largest from the top layer to the "
        "first. It holds where the interval of the gain, in orders of magnitude, lies above 0."
    ),
    studies=(STUDY,),
    section=STUDY,
)
def judge(run: Run) -> Finding | None:
    found = reaches(run)
    if found is None:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis in found]
    conditions = []
    for word, column, where in KINDS:
        beside = with_and_without(found, axes, word)
        beside = beside[np.isfinite(beside[f"{column}_1"]) & np.isfinite(beside[f"{column}_2"])]
        for own, part in groups(beside, ["cell", "named"]):
            gain = effects.mean(part[f"{column}_1"] - part[f"{column}_2"], "pair")
            name = f"{own['cell']} with {plus(own['named'])} ({where})"
            conditions.append(Condition(name, "orders of magnitude gained", gain, gain.above(0.0)))
    return finding(
        conditions,
        on="the cell and the structure",
        effect=measured_words(conditions),
        tested=f"{counted(len(found), 'network')}, paired by all but the connection",
    )


def with_and_without(found: pd.DataFrame, axes: list[str], word: str) -> pd.DataFrame:
    """Networks with connections of this kind (_1) beside those that lack them alone (_2); `named` is the
    structure that has them."""
    parts = []
    for structure in found["structure"].unique():
        pieces = str(structure).split(", ")
        rest = ", ".join(piece for piece in pieces if not piece.startswith(word))
        if rest != structure:
            parts.append(pairs(found, "structure", structure, rest, axes).assign(named=str(structure)))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pairs(found, "structure", None, None, axes).assign(named="")
    )
