"""C12: what has vanished cannot influence the update, and is not learned."""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.summaries.foretelling import ALL, ANY, EACH, foretelling
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.learning import CLIPPING, Learnings, learnings
from harness.report.summaries.update_by_lag import updates
from harness.report.words import counted, missing, percent

NEGLIGIBLE = 0.01


@claim(
    "C12",
    text=(
        "Vanishing makes far-away inputs unable to influence the update: a long-range dependency is not "
        "learned."
    ),
    rule=(
        "Supported where, in networks whose furthest terms lie below 1 % of the largest, less than 1 % of "
        "the sum of the terms' norms comes from the further half of the lags; where, within a task and "
        "length, the trainings that solve had the larger ‖∂h_T/∂h_0‖ before their first step in more than "
        "half of all pairs, of any cells and of one; and where of the networks in which it lay below 1 % "
        "fewer than half solve, under any clipping, of trainings of a kind that any network solves."
    ),
    studies=("learning", "update_by_lag"),
    section="foretelling",
)
def judge(run: Run) -> Finding | None:
    conditions = [*_influence(run), *_learned(run)]
    return finding(
        conditions,
        on="the task and its length",
        effect=measured_words(conditions),
        tested=f"{counted(len(conditions), 'circumstance')} of updates and trainings",
    )


def _influence(run: Run) -> list[Condition]:
    """Networks whose terms beyond three quarters of the lags lie below 1 % of the largest."""
    found = updates(run)
    if found is None:
        return []
    networks = found.networks[found.networks["furthest_log10"] < FAINT]
    conditions = []
    for own, part in groups(networks, ["cell"]):
        share = effects.exact(float(part["far_share"].max()), len(part))
        name = f"{own['cell']} where it vanishes"
        words = "the further half of the lags gives to an update, at most"
        conditions.append(Condition(name, words, share, share.below(NEGLIGIBLE), percent))
    return conditions


def _learned(run: Run) -> list[Condition]:
    found = learnings(run)
    return [] if found is None else [*_told(run), *_in_spite(found)]


def _told(run: Run) -> list[Condition]:
    """Of pairs of trainings, the one that solved had the larger norm: any two cells, and one and the same."""
    told = foretelling(run)
    if told is None:
        return []
    rows = told.rows
    together = (rows["task"] == ALL) & (rows["seq_len"] == ALL) & (rows["predictor"] == "norm")
    conditions = []
    for cells, name in ((ANY, "telling who solves"), (EACH, "telling who solves within one cell")):
        for row in records(rows[together & (rows["cells"] == cells)]):
            if missing(row["auc_low"]):  # too few settings to say
                continue
            effect = Effect(row["auc"], row["auc_low"], row["auc_high"], int(row["settings"]), "setting")
            words = "of pairs of one that solved and one that did not, the first had the larger norm before"
            conditions.append(Condition(name, words, effect, effect.above(0.5), percent))
    return conditions


def _in_spite(found: Learnings) -> list[Condition]:
    """Networks whose gradient had vanished, and that solve nevertheless.

    A network is what it starts as: under whatever clipping it is trained, it counts once.
    """
    known = _solvable(found.trainings[found.trainings["log10_norm_before"].notna()])
    faint = known[known["log10_norm_before"] < FAINT]
    network = [axis for axis in (*found.axes, "seed") if axis not in CLIPPING and axis in faint]
    conditions = []
    for own, part in groups(faint, ["task", "seq_len"]):
        solved = (part["end"] == "solved").groupby([part[axis] for axis in network], dropna=False).any()
        effect = effects.share(int(solved.sum()), len(solved), "network")
        conditions.append(
            Condition(
                f"{own['task']} at T={own['seq_len']} where it had vanished",
                "solved although the norm lay below 1 %",
                effect,
                effect.below(0.5),
                percent,
            )
        )
    return conditions


def _solvable(trainings: pd.DataFrame) -> pd.DataFrame:
    """Those of a task, length and way of training that some network solved: elsewhere more than the memory
    was missing."""
    solved = (trainings["end"] == "solved").groupby(
        [trainings[axis] for axis in ("task", "seq_len", "way")], sort=False
    )
    return trainings[solved.transform("any")]
