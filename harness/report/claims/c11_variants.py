"""C11: LSTM variants are all about the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.claim import UNDECIDED, Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.summaries.grouping import records
from harness.report.summaries.learning import STUDY
from harness.report.summaries.variants import variants
from harness.report.words import counted

QUANTITY = "held-out loss less the LSTM's, over what knowing nothing costs"


@claim(
    "C11",
    text="LSTM variants are all about the same (Greff et al. 2015).",
    rule=(
        "Trainings of a variant and of the LSTM that differ in the cell alone are paired, task by task; "
        "compared are their last held-out losses over what knowing nothing costs (at most 1, and 1 where one "
        "diverged). It holds for a variant at a task where the interval of the mean difference lies within "
        "±0.1; it does not where that difference is certain (t-tests, false-discovery rate 5 % over all of "
        "them) and beyond 0.1. Where neither had learned anything (no mean below 0.98), nothing is judged."
    ),
    studies=(STUDY,),
    section="variants",
)
def judge(run: Run) -> Finding | None:
    found = variants(run)
    if found is None:
        return None
    conditions = [_condition(row) for row in records(found.judged)]
    left_out = f"left out, as neither had learned anything: {found.left_out}" if found.left_out else ""
    pairs = f"{counted(int(found.tasks['trainings'].sum()), 'pair')} of trainings"
    tested = f"{pairs}; {left_out}" if left_out else pairs
    if not conditions:
        return Finding("nothing that could differ", tested, (), UNDECIDED) if left_out else None
    return finding(conditions, on="the variant and the task", effect=_effect(conditions), tested=tested)


def _condition(row: dict[str, Any]) -> Condition:
    value, low, high = (float(row[f"difference{end}"]) for end in ("", "_low", "_high"))
    effect = Effect(value, low, high, int(row["trainings"]), "pair")
    holds = True if row["same"] else False if row["verdict"] else None
    return Condition(f"{row['cell']} at {row['where']}", QUANTITY, effect, holds)


def _effect(conditions: Sequence[Condition]) -> str:
    differ = [condition for condition in conditions if condition.holds is False]
    same, total = sum(condition.holds is True for condition in conditions), len(conditions)
    words = f"of {counted(total, 'comparison')}, {same} about the same, {len(differ)} not, "
    words += f"{total - same - len(differ)} {UNDECIDED}"
    return f"{words}; {measured_words(differ)}" if differ else words
