"""C15: both directions, and depth: what does each cost, and how far does the gradient reach in each?"""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.pairs import pairs
from harness.report.summaries.reach import plus, reaches
from harness.report.summaries.throughput import last_attempt
from harness.report.words import counted, power_of_ten, times

STUDY, SINGLE, BOTH = "structures", "1 layer", "both ways"
IN_PROPORTION = (0.75, 4 / 3)
"""Of the ratio of times over the ratio of arithmetic."""


@claim(
    "C15",
    text=(
        "A bidirectional network sees both directions and a deep one passes an intermediate representation "
        "on; each costs what its arithmetic says."
    ),
    rule=(
        "Supported where the gradient of structures that read both ways arrives with 1 % or more from "
        "earlier and from later steps, that of deep ones from the top layer at the first, and where the "
        "time of each, over that of one layer of the same width, is its arithmetic over the layer's, give "
        "or take a third."
    ),
    studies=("depth_decay", STUDY),
    section=STUDY,
)
def judge(run: Run) -> Finding | None:
    reach, cost = _reach(run), _cost(run)
    return finding(
        [*reach, *cost],
        on="the structure and the backend",
        effect="; ".join(filter(None, (measured_words(reach), measured_words(cost)))),
        tested=f"{counted(len(reach), 'structure')} for their reach, {counted(len(cost), 'pair')} of "
        "structure and backend for their time",
    )


def _reach(run: Run) -> list[Condition]:
    found = reaches(run)
    if found is None:
        return []
    conditions = []
    for own, part in groups(found, ["cell", "structure"]):
        name = f"{own['cell']} with {plus(own['structure'])}"
        if BOTH in str(own["structure"]):
            for side in ("earlier", "later"):
                steps = effects.mean(part[f"{side}_steps"])
                conditions.append(
                    Condition(
                        f"{name} ({side})", f"{side} steps that reach it with 1 %", steps, steps.above(0.0)
                    )
                )
        elif part["log10_through"].notna().all():
            norm = effects.mean(part["log10_through"])
            conditions.append(
                Condition(
                    f"{name} (to the first layer)",
                    "norm from the top layer to the first",
                    norm,
                    norm.above(FAINT),
                    power_of_ten,
                )
            )
    return conditions


def _cost(run: Run) -> list[Condition]:
    """Time over that of one layer, over the same of arithmetic, paired within a replicate."""
    measured = run.measured(STUDY)
    if not has(measured, "phase", "seconds", "structure", "flop"):
        return []
    axes = [*run.axes(STUDY), "replicate"]
    seconds = last_attempt(measured[measured["seconds"] > 0]).groupby("key")["seconds"].median()
    cases = measured.drop_duplicates("key").set_index("key")[[*axes, "flop"]].assign(seconds=seconds)
    conditions = []
    for structure in cases["structure"].unique():
        if structure == SINGLE:
            continue
        beside = pairs(cases.dropna(subset=["seconds"]), "structure", structure, SINGLE, axes)
        conditions += [_condition(str(structure), own, part) for own, part in groups(beside, _shown(beside))]
    return conditions


def _shown(beside: pd.DataFrame) -> list[str]:
    return [axis for axis in ("machine", "backend", "cell", "pass") if axis in beside]


def _condition(structure: str, own: dict[str, object], part: pd.DataFrame) -> Condition:
    over = (part["seconds_1"] / part["seconds_2"]) / (part["flop_1"] / part["flop_2"]).astype(float)
    effect = effects.ratio(over, "process")
    name = f"{own.get('cell')} with {plus(structure)} on {own.get('backend')} ({own.get('pass')})"
    return Condition(name, "time over arithmetic, of one layer", effect, effect.within(*IN_PROPORTION), times)
