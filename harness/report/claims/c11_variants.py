"""C11: LSTM variants are all about the same."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.frames import Run
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import STUDY, learnings
from harness.report.summaries.variants import beside_plain
from harness.report.words import counted

LEAST_PAIRS = 2
NARROW = 0.5


@claim(
    "C11",
    text="LSTM variants are all about the same (Greff et al. 2015).",
    rule=(
        "Trainings of a variant and of the LSTM that differ in the cell alone are paired. It holds for a "
        "variant where the interval of the difference of their last held-out losses, in units of the task's "
        "baseline, contains 0 (no significant difference, as in the paper) and lies within ±½, so that it is "
        "narrow enough to tell."
    ),
    studies=(STUDY,),
    section="variants",
)
def judge(run: Run) -> Finding | None:
    found = learnings(run)
    if found is None:
        return None
    beside = variants_beside_plain(found.trainings, found.axes)
    if beside.empty:
        return None
    conditions, words = [], []
    for own, part in groups(beside, ["variant_cell"]):
        if len(part) < LEAST_PAIRS:
            continue
        difference = (part["last_loss_1"] - part["last_loss_2"]) / part["baseline_1"]
        effect = effects.mean(difference.astype(float), "pair")
        same = effect.is_about(0.0, -NARROW, NARROW)
        name = str(own["variant_cell"])
        conditions.append(Condition(name, "held-out loss less the LSTM's, over the baseline", effect, same))
        solved = [int((part[f"end_{side}"] == "solved").sum()) for side in (1, 2)]
        words.append(f"{name}: {effect.words()}, solved {solved[0]} of {len(part)} (LSTM {solved[1]})")
    return finding(
        conditions,
        on="the variant",
        effect=f"held-out loss less the LSTM's, over the baseline: {'; '.join(words)}",
        tested=f"{counted(len(beside), 'pair')} of trainings",
    )


def variants_beside_plain(trainings: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """Trainings of each variant (_1) beside those of the LSTM (_2) that agree in all but the cell."""
    found = beside_plain(trainings, [*axes, "seed"], ("end", "last_loss", "baseline"))
    if found.empty:
        return found
    finite = [np.isfinite(found[f"last_loss_{side}"].astype(float)) for side in (1, 2)]
    return found[finite[0] & finite[1]]
