"""C3: flat plains and steep cliffs, so that no one learning rate serves."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.error_surface import STUDY, surfaces
from harness.report.summaries.grouping import groups
from harness.report.words import counted, listed, plain, times

STEEP = 100.0
SERVED = 0.5
NAMES = {"one_unit": "one unit", "trained": "planes through trained networks"}


@claim(
    "C3",
    text=(
        "The error surface of an RNN has flat plains and steep cliffs, so that no one learning rate serves."
    ),
    rule=(
        "Supported where on each surface the steepest slope is more than 100 times the median one, and "
        "none of two or more learning rates brings a plain descent from every start to half its loss "
        "without a leap."
    ),
    studies=(STUDY,),
    section="error_surface",
)
def judge(run: Run) -> Finding | None:
    found = surfaces(run)
    if found is None:
        return None
    cases = run.measured(STUDY).drop_duplicates("key")
    conditions = []
    for own, part in groups(cases[cases["surface"] != "power"], ["surface"]):
        steep = part["steepness"].astype(float).drop_duplicates()
        if steep.notna().all():
            effect = effects.ratio(steep, "surface")
            name = NAMES.get(str(own["surface"]), str(own["surface"]))
            conditions.append(
                Condition(name, "steepest slope over the median one", effect, effect.above(STEEP), times)
            )
    rates = serving(found.ends)
    effect_words = measured_words(conditions)
    if len(rates) > 1:
        good = [rate for rate, served in rates.items() if served]
        conditions.append(
            Condition(
                "the learning rates",
                "learning rates that serve every start",
                effects.exact(len(good), len(rates), "learning rate"),
                not good,
                plain,
            )
        )
        effect_words += (
            f"; of the learning rates {listed([plain(rate) for rate in rates])}, "
            f"{counted(len(good), 'one serves', 'serve') if good else 'none serves'} every start"
        )
    return finding(
        conditions,
        on="the surface",
        effect=effect_words,
        tested=f"{counted(len(cases), 'surface')}, and the descents on it",
    )


def serving(ends: pd.DataFrame) -> dict[Any, bool]:
    """Learning rate -> whether each plain descent with it halved its loss and never leapt."""
    if ends.empty:
        return {}
    plain_ends = ends[ends["quantity"] == "plain"]
    return {
        setting["learning_rate"]: bool(
            (~part["leapt"].astype(bool) & (part["last_loss"] <= SERVED * part["first_loss"])).all()
        )
        for setting, part in groups(plain_ends, ["learning_rate"])
    }
