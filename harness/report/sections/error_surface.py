"""How rough is the error surface, and what does clipping do at a cliff?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.error_surface import Surfaces, surfaces
from harness.report.summaries.grouping import groups, most, records
from harness.report.tables import Table
from harness.report.words import counted, listed, missing, percent, plain, power_of_ten, significant

NAMES = {
    "one_unit": "one unit over its weight and bias",
    "trained": "a plane through a network after training",
    "power": "the toy y = w^1000, w from 0.99 to 1.01",
}


@question(
    "error_surface",
    heading="How rough is the error surface, and what does clipping do at a cliff?",
    study="error_surface",
    order=66,
    explanation=(
        "One unit, h ← w·σ(h) + b over T steps with the loss (σ(h_T) − 0.7)², after Pascanu et al. 2013; "
        "gradient descents on it, plain, and with the gradient's norm clipped; a plane through the weights "
        "of a network that was trained to add, along its gradient and along a random direction, with "
        "descents that stay in it, by the gradient's share in each direction; and y = w^1000. A descent "
        "leaps when one of its steps is longer than 1, measured in the plane."
    ),
)
def answer(run: Run) -> Answer | None:
    found = surfaces(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found),
        details=(
            *(_detail(row) for row in records(found.facts)),
            *_learned(found.networks),
            *_ended(found.ends, "On one unit"),
            *_ended(found.plane_ends, "In the planes through networks"),
        ),
        table=_table(found.ends),
        summary=found.ends,
    )


def _sentence(found: Surfaces) -> str:
    steepest = records(found.facts)[0]
    words = (
        f"On {NAMES.get(steepest['surface'], steepest['surface'])} the steepest slope is "
        f"{significant(steepest['steepness'], 2)} times the median one"
    )
    if found.ends.empty:
        return f"{words}."
    plain_, clipped = (found.ends[found.ends["quantity"] == name] for name in ("plain", "clipped"))
    return (
        f"{words}; {int(plain_['leapt'].sum())} of {counted(len(plain_), 'plain descent')} leapt off, and "
        f"{int(clipped['leapt'].sum())} of {len(clipped)} with clipping."
    )


def _learned(networks: pd.DataFrame) -> list[str]:
    """What the networks in the middle of the planes know, each beside who knows nothing."""
    sentences = []
    for own, part in groups(networks.dropna(subset=["centre_loss"]), ["cell", "seq_len", "baseline"]):
        losses = listed([significant(loss) for loss in part["centre_loss"]])
        learned = int(part["learned"].sum())
        who = f"{own['cell']} at T={plain(own['seq_len'])}"
        sentences.append(
            f"In the middle of {counted(len(part), 'plane')} stands {who}, with a loss of {losses} where "
            f"knowing nothing costs {significant(own['baseline'])}: {learned} of {len(part)} had learned, to "
            "less than half of that."
        )
    return sentences


def _ended(ends: pd.DataFrame, where: str) -> list[str]:
    """How descents went, those with clipping that ended worse than they began included."""
    if ends.empty:
        return []
    words = []
    for name, when in (("plain", "without clipping"), ("clipped", "with it")):
        part = ends[ends["quantity"] == name]
        if part.empty:
            continue
        lower = int((part["last_loss"] < part["first_loss"] / 2).sum())
        worse = part[part["last_loss"] > part["first_loss"]]
        words.append(
            f"{when} {int(part['leapt'].sum())} of {counted(len(part), 'descent')} leapt, {lower} ended "
            f"below half the loss they began with and {len(worse)} above it{_worst(worse)}"
        )
    steps = ends["steps"].max()
    return [f"{where}, in at most {counted(int(steps), 'step')}: {'; '.join(words)}."]


def _worst(worse: pd.DataFrame) -> str:
    if worse.empty:
        return ""
    row = most(worse.assign(times=worse["last_loss"] / worse["first_loss"]), "times")
    return f" (worst: {significant(row['first_loss'])} → {significant(row['last_loss'])})"


def _detail(row: dict[str, Any]) -> str:
    low, high = (power_of_ten(row[f"{end}_log10_loss"]) for end in ("lowest", "highest"))
    name = NAMES.get(row["surface"], row["surface"])
    what = "y" if row["surface"] == "power" else "the loss"
    return (
        f"{name[0].upper()}{name[1:]}: {what} runs from {low} to {high}; the steepest slope is "
        f"{significant(row['steepness'], 2)} times the median one, and on {_flat(row['flat_share'])} of the "
        f"grid the slope is less than a hundredth of the steepest.{_gone(row)}"
    )


def _flat(share: float) -> str:
    """A share; of nearly all what is missing, which would be rounded away."""
    if share == 1.0:
        return "all"
    return percent(share) if not 0.995 <= share < 1.0 else f"all but {significant(100 * (1 - share), 2)} %"


def _gone(row: dict[str, Any]) -> str:
    if missing(row["diverged_at_step"]):
        return ""
    return (
        f" Its training diverged at step {plain(row['diverged_at_step'])}: the plane is cut through its last "
        f"good state, after {counted(int(row['last_good_step']), 'step')}."
    )


def _table(ends: pd.DataFrame) -> Table | None:
    if ends.empty:
        return None
    columns = ("learning rate", "start", "descent", "loss before", "loss after", "longest step", "leapt")
    rows = tuple(
        (
            plain(row["learning_rate"]),
            plain(int(row["start"]) + 1),
            str(row["quantity"]),
            significant(row["first_loss"]),
            significant(row["last_loss"]),
            significant(row["longest_step"]),
            "yes" if row["leapt"] else "no",
        )
        for row in records(ends)
    )
    return Table(
        columns,
        rows,
        "Descents on the surface of one unit; a step's length is taken in the plane of w and b.",
        frozenset({"learning rate", "start", "loss before", "loss after", "longest step"}),
    )
