"""C12: what has vanished cannot influence the update, and is not learned."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.summaries import clipping as one_pass
from harness.report.summaries.clipping import BEFORE
from harness.report.summaries.foretelling import ALL, foretelling
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, has, records
from harness.report.summaries.learning import learnings
from harness.report.words import counted, percent

NEGLIGIBLE = 0.01


@claim(
    "C12",
    text=(
        "Vanishing makes far-away inputs unable to influence the update: a long-range dependency is not "
        "learned."
    ),
    rule=(
        "Supported where, in passes whose gradient vanishes, less than 1 % of Σ_k ‖dL/dh_k‖ comes from the "
        "further half of the lags; where within a task and length the trainings that solve had the larger "
        "‖∂h_T/∂h_0‖ before their first step in more than half of all pairs; and where of those in which "
        "it lay below 1 % fewer than half solve."
    ),
    studies=("learning", "clipping"),
    section="foretelling",
)
def judge(run: Run) -> Finding | None:
    conditions = [*_influence(run), *_learned(run)]
    return finding(
        conditions,
        on="the task and its length",
        effect=measured_words(conditions),
        tested=f"{counted(len(conditions), 'circumstance')} of backward passes and trainings",
    )


def _influence(run: Run) -> list[Condition]:
    """Of networks whose gradient vanishes and whose loss is at the last step alone."""
    measured = run.measured(one_pass.STUDY)
    if not has(measured, "lag", BEFORE, "loss", "sample"):
        return []
    measured = measured[measured["loss"] == "last"]
    agree = [axis for axis in run.axes(one_pass.STUDY) if axis not in ("rule", "place", "threshold", "steps")]
    shares = []
    for _, part in groups(measured, agree):
        rows = part[part["key"] == part["key"].iloc[0]]  # clipped or not, the unclipped side is the same
        curve = rows.groupby("lag")[BEFORE].median()
        if curve.iloc[-1] - curve.iloc[0] < FAINT:
            norms = 10.0 ** (curve - curve.max())
            far = norms[norms.index > norms.index.max() / 2].sum()
            shares.append(float(far / norms.sum()))
    if not shares:
        return []
    effect = effects.mean(shares)
    words = "influence of the further half of the lags"
    return [Condition(words, "of Σ_k ‖dL/dh_k‖", effect, effect.below(NEGLIGIBLE), percent)]


def _learned(run: Run) -> list[Condition]:
    found, told = learnings(run), foretelling(run)
    if found is None:
        return []
    known = found.trainings[found.trainings["log10_norm_before"].notna()]
    stratum = known["task"].astype(str) + " at T=" + known["seq_len"].astype(str)
    solved = (known["end"] == "solved").to_numpy()
    norms = known["log10_norm_before"].to_numpy(float)
    conditions = []
    if told is not None:
        rows = told.rows
        together = (rows["task"] == ALL) & (rows["seq_len"] == ALL) & (rows["predictor"] == "norm")
        row = records(rows[together])[0]
        effect = Effect(row["auc"], row["auc_low"], row["auc_high"], int(row["settings"]), "setting")
        conditions.append(
            Condition(
                "telling who solves",
                "of pairs of one that solved and one that did not, the first had the larger norm before",
                effect,
                effect.above(0.5),
                percent,
            )
        )
    for name, part in pd.Series(solved, index=stratum)[np.asarray(norms < FAINT)].groupby(
        level=0, sort=False
    ):
        effect = effects.share(int(part.sum()), len(part))
        conditions.append(
            Condition(
                f"{name} where it had vanished",
                "solved although the norm lay below 1 %",
                effect,
                effect.below(0.5),
                percent,
            )
        )
    return conditions
