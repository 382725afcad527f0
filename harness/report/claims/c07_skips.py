"""C7: skip connections carry gradients past the decay."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups
from harness.report.summaries.pairs import pairs
from harness.report.summaries.reach import STUDY, reaches
from harness.report.words import counted, listed, setting, split_constant

KINDS = (
    ("skip", "log10_far", "skips across time"),
    ("residual", "log10_through", "residual connections through the layers"),
    ("residual", "log10_far", "residual connections through time"),
)
"""Word that a connection's part of a structure's name begins with, what it is judged by, and in words."""
SIZES = ("seq_len", "hidden_size", "batch_size")


@claim(
    "C7",
    text="Skip connections carry gradients past the decay.",
    rule=(
        "Networks with and without skips are paired; of one cell, seed and size the mean over structures "
        "counts. Through time the largest norm beyond three quarters of the longest lag is judged, through "
        "the layers the largest from the top layer to the first. It holds where the interval of the gain, in "
        "orders of magnitude, lies above 0."
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
    for word, column, name in KINDS:
        beside = with_and_without(found, axes, word)
        beside = beside[np.isfinite(beside[f"{column}_1"]) & np.isfinite(beside[f"{column}_2"])]
        beside = beside.assign(gain=beside[f"{column}_1"] - beside[f"{column}_2"])
        units = [axis for axis in (*SIZES, "seed") if axis in beside]
        for own, part in groups(beside, ["cell"]):
            gain = effects.mean([pairs_["gain"].mean() for _, pairs_ in groups(part, units)], "pair")
            conditions.append(
                Condition(f"{name} in {own['cell']}", "orders of magnitude gained", gain, gain.above(0.0))
            )
    return finding(
        conditions,
        on="the connection and the cell",
        effect=measured_words(conditions, limit=len(conditions)) + _reached(found),
        tested=f"{counted(len(found), 'network')}, paired by all but the connection{_sizes(found)}",
    )


def _reached(found: pd.DataFrame) -> str:
    """How many of the networks with skips across time carry 1 % as far as they are judged."""
    skipping = found[found["structure"].astype(str).str.contains(", skip")]
    if skipping.empty:
        return ""
    far = int((skipping["log10_far"] >= FAINT).sum())
    return (
        f"; {far} of {counted(len(skipping), 'network')} with skips across time keep 1 % beyond three "
        "quarters of the longest lag"
    )


def _sizes(found: pd.DataFrame) -> str:
    """Which sizes a condition holds together, where there are several."""
    axes = [axis for axis in SIZES if axis in found]
    varying, _ = split_constant(found, axes)
    sizes = [setting({axis: own[axis] for axis in varying}) for own, _ in groups(found, varying)]
    return f"; sizes {listed(sizes)} together" if varying else ""


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
