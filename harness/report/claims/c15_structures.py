"""C15: both directions, and depth: what does each cost, and how far does the gradient reach in each?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.machines import with_place
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.pairs import over_processes, pairs, per_seed
from harness.report.summaries.reach import plus, reaches
from harness.report.summaries.throughput import last_attempt
from harness.report.words import counted, power_of_ten, times

STUDY, SINGLE, BOTH = "structures", "1 layer", "both ways"
IN_PROPORTION = (0.75, 4 / 3)
"""Of the ratio of times over the ratio of arithmetic."""
FEWEST = 3.0
"""Steps of either direction that have to be heard."""


@claim(
    "C15",
    text=(
        "A bidirectional network sees both directions and a deep one passes an intermediate representation "
        "on; each costs what its arithmetic says."
    ),
    rule=(
        "Supported where, in whichever cell passes on least, the gradient of structures that read both ways "
        "arrives with 1 % or more from at least 3 earlier and 3 later steps, that of deep ones from the top "
        "layer at the first; and where on each backend the time of each, over that of one layer of the same "
        "width, is its arithmetic over the layer's, give or take a third (geometric mean over cells and "
        "passes, interval over processes; without one it is undecided)."
    ),
    studies=("depth_decay", STUDY),
    section=STUDY,
)
def judge(run: Run) -> Finding | None:
    reach, cost = _reach(run), _cost(run)
    return finding(
        [*reach, *cost],
        on="the structure and the backend",
        effect="; ".join(measured_words(part, limit=len(part)) for part in (*_alike(reach), cost) if part),
        tested=f"{counted(len(reach), 'structure')} for their reach, {counted(len(cost), 'pair')} of "
        "structure and backend for their time",
    )


def _alike(conditions: list[Condition]) -> list[list[Condition]]:
    """The conditions by what was measured, so that it is said once."""
    quantities = dict.fromkeys(condition.quantity for condition in conditions)
    return [[c for c in conditions if c.quantity == quantity] for quantity in quantities]


def _reach(run: Run) -> list[Condition]:
    """One condition for each structure, and for each direction of those that read both ways."""
    found = reaches(run)
    if found is None:
        return []
    conditions = []
    for own, part in groups(found, ["structure"]):
        name = plus(own["structure"])
        if BOTH in str(own["structure"]):
            for side in ("earlier", "later"):
                steps = _least(part, f"{side}_steps")
                what = f"{side} steps that reach it with 1 %, in the cell with the fewest"
                conditions.append(Condition(f"{name} ({side})", what, steps, _at_least(steps, FEWEST)))
        elif part["log10_through"].notna().all():
            norm = _least(part, "log10_through")
            what = "norm from the top layer to the first, in the cell with the smallest"
            conditions.append(
                Condition(f"{name} (to the first layer)", what, norm, norm.above(FAINT), power_of_ten)
            )
    return conditions


def _least(part: pd.DataFrame, column: str) -> Effect:
    """The smallest of the cells' means over networks: where it is enough, it is in every cell."""
    cells = [effects.mean(per_seed(rows, column), "seed") for _, rows in groups(part, ["cell"])]
    return min(cells, key=lambda effect: effect.value)


def _at_least(effect: Effect, least: float) -> bool | None:
    low, high = effect.ends
    return True if low >= least else False if high < least else None


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
        shown = [axis for axis in ("machine", "backend") if axis in beside]
        conditions += [
            _condition(str(structure), own, part, [axis for axis in axes if axis in part])
            for own, part in groups(beside, shown)
        ]
    return conditions


def _condition(structure: str, own: dict[str, Any], part: pd.DataFrame, axes: list[str]) -> Condition:
    over = (part["seconds_1"] / part["seconds_2"]) / (part["flop_1"] / part["flop_2"]).astype(float)
    effect = over_processes(part.assign(ratio=over), [axis for axis in axes if axis != "replicate"])
    holds = None if np.isnan(effect.low) else effect.within(*IN_PROPORTION)
    name = f"{plus(structure)} on {with_place(str(own['backend']), own)}"
    return Condition(name, "time over arithmetic, of one layer", effect, holds, times)
