"""C4: clipping by norm solves explosion, and does not solve vanishing."""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries import clipping as one_pass
from harness.report.summaries.clipping import AFTER, BEFORE
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.learning import CLIPPING, learnings
from harness.report.summaries.pairs import pairs
from harness.report.words import listed, percent

BY_NORM = ("global_norm", "global_norm_pascanu", "per_sample_norm", "per_tensor_norm")
PLURAL = {"state": "the state"}
ROUNDING = 1e-5
"""Of a norm that was scaled to its threshold."""


@claim(
    "C4",
    text="Clipping by norm solves explosion; it does not solve vanishing.",
    rule=(
        "Supported where every clipped parameter gradient keeps to its threshold and no ‖dL/dh_0‖ below 1 % "
        "is raised to it; and in training, at each place, where certainly more than half of the networks "
        "that diverge do not when clipped, and certainly less than half of those whose gradient had vanished "
        "and that do not solve their task do so when clipped (a network under several thresholds counts "
        "once, as most of them end)."
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
    # clipping tensor by tensor bounds each of them, and not the norm of all
    whole = (measured["place"] == "parameters") & (measured["rule"] != "per_tensor_norm")
    cases = measured[whole].drop_duplicates("key")
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
                bool((gone[AFTER] < FAINT).all()),
            )
        )
    return conditions


def _trainings(run: Run) -> list[Condition]:
    """What clipping changed in training, place by place.

    The unit is a network without clipping: what it does under a rule at a place is one vote however many
    thresholds were tried, that of more than half of them.
    """
    found = learnings(run)
    if found is None:
        return []
    axes = [*(axis for axis in found.axes if axis not in CLIPPING), "seed"]
    columns = [*axes, "rule", "place", "end", "log10_norm_before"]
    kept = found.trainings[[column for column in columns if column in found.trainings]]
    plain, clipped = kept[kept["rule"] == "none"], kept[kept["rule"].isin(BY_NORM)]
    beside = pairs(
        pd.concat([plain.assign(side=0), clipped.assign(side=1)]).drop(columns="rule"), "side", 0, 1, axes
    )
    keys = [name for name in axes if name in beside]
    conditions = []
    for own, part in groups(beside, ["place_2"]):
        exploding = part[part["end_1"] == "diverged"]
        if not exploding.empty:
            saved = _voted(exploding["end_2"] != "diverged", exploding, keys)
            conditions.append(
                Condition(
                    f"explosion in training clipped on {PLURAL.get(str(own['place_2']), own['place_2'])}",
                    "of networks that diverge, do not when clipped",
                    saved,
                    saved.above(0.5),
                    percent,
                )
            )
        unsolved = ~part["end_1"].isin(("diverged", "solved")) & (part["log10_norm_before_1"] < FAINT)
        vanished = part[unsolved]
        if not vanished.empty:
            solved = _voted(vanished["end_2"] == "solved", vanished, keys)
            conditions.append(
                Condition(
                    f"vanishing in training clipped on {PLURAL.get(str(own['place_2']), own['place_2'])}",
                    "of networks that had vanished and do not solve, solve when clipped",
                    solved,
                    solved.below(0.5),
                    percent,
                )
            )
    return conditions


def _voted(votes: pd.Series, part: pd.DataFrame, keys: list[str]) -> effects.Effect:
    """The share of networks of which more than half of the trainings say yes."""
    networks = votes.groupby([part[key] for key in keys], dropna=False).mean()
    return effects.share(int((networks > 0.5).sum()), len(networks), "network")
