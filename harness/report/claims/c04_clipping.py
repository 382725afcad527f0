"""C4: clipping by norm solves explosion, and does not solve vanishing."""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries import clipping as one_pass
from harness.report.summaries.clipping import AFTER, BEFORE
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import has
from harness.report.summaries.learning import CLIPPING, learnings
from harness.report.summaries.pairs import pairs
from harness.report.words import listed, percent

BY_NORM = ("global_norm", "global_norm_pascanu", "per_sample_norm", "per_tensor_norm")
ROUNDING = 1e-5
"""Of a norm that was scaled to its threshold."""


@claim(
    "C4",
    text="Clipping by norm solves explosion; it does not solve vanishing.",
    rule=(
        "Supported where every clipped parameter gradient keeps to its threshold and no vanished ‖dL/dh_k‖ "
        "is raised; and in training, where more than half of the trainings that diverge do not when "
        "clipped, and of those whose gradient vanished, clipping does not turn more unsolved than solved."
    ),
    studies=("clipping", "learning"),
    section="clipping",
)
def judge(run: Run) -> Finding | None:
    passes, trainings = _one_pass(run), _trainings(run)
    conditions = [*passes, *trainings]
    kinds = ["single backward passes"] * bool(passes) + ["pairs of trainings"] * bool(trainings)
    return finding(
        conditions,
        on="what is asked of it",
        effect=measured_words(conditions),
        tested=f"{listed(kinds)}, clipped by norm and not",
    )


def _one_pass(run: Run) -> list[Condition]:
    measured = run.measured(one_pass.STUDY)
    if not has(measured, BEFORE, AFTER, "rule", "place", "threshold", "parameter_norm_clipped"):
        return []
    measured = measured[measured["rule"].isin(BY_NORM)]
    conditions = []
    cases = measured[measured["place"] == "parameters"].drop_duplicates("key")
    large = cases[cases["parameter_norm_unclipped"] > cases["threshold"].astype(float)]
    if not large.empty:
        over = (large["parameter_norm_clipped"] / large["threshold"].astype(float)).max()
        effect = effects.exact(float(over), len(large), "clipped pass")
        conditions.append(
            Condition(
                "explosion in one pass",
                "the clipped norm over its threshold, at most",
                effect,
                float(over) <= 1.0 + ROUNDING,
            )
        )
    last = measured[measured["lag"] == measured.groupby("key")["lag"].transform("max")]
    gone = last[last[BEFORE] < FAINT]
    if not gone.empty:
        raised = float((gone[AFTER] - gone[BEFORE]).max())
        effect = effects.exact(10.0**raised, int(gone["key"].nunique()), "clipped network")
        conditions.append(
            Condition(
                "vanishing in one pass",
                "‖dL/dh_0‖ clipped over unclipped, at most",
                effect,
                raised <= ROUNDING,
            )
        )
    return conditions


def _trainings(run: Run) -> list[Condition]:
    found = learnings(run)
    if found is None:
        return []
    axes = [*(axis for axis in found.axes if axis not in CLIPPING), "seed"]
    columns = [*axes, "rule", "end", "log10_norm_before"]
    kept = found.trainings[[column for column in columns if column in found.trainings]]
    beside = pd.concat([pairs(kept, "rule", "none", rule, axes) for rule in BY_NORM], ignore_index=True)
    conditions = []
    exploding = beside[beside["end_1"] == "diverged"]
    if not exploding.empty:
        saved = effects.share(int((exploding["end_2"] != "diverged").sum()), len(exploding), "pair")
        conditions.append(
            Condition(
                "explosion in training",
                "of those that diverge, do not when clipped",
                saved,
                saved.above(0.5),
                percent,
            )
        )
    vanished = beside[(beside["end_1"] != "diverged") & (beside["log10_norm_before_1"] < FAINT)]
    if not vanished.empty:
        solved_1, solved_2 = (vanished[f"end_{side}"] == "solved" for side in (1, 2))
        effect = effects.first_alone(solved_2, solved_1)
        conditions.append(
            Condition(
                "vanishing in training",
                "of pairs that end differently, solved by the clipped one",
                effect,
                not effect.above(0.5),
                percent,
            )
        )
    return conditions
