"""Does the decay of a network that has learned nothing foretell what it will learn?"""

from __future__ import annotations

from typing import Any

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.foretelling import ALL, PREDICTORS, Foretelling, foretelling
from harness.report.summaries.grouping import records
from harness.report.tables import Table
from harness.report.words import counted, missing, percent, plain


@question(
    "foretelling",
    heading="Does the decay before training foretell who will learn?",
    study="learning",
    order=71,
    explanation=(
        "Pairs of trainings of the same task and T, trained in the same way, of which one solved it and the "
        "other did not (area under the ROC curve), or not as soon (Harrell's concordance): in how many was "
        "the quantity, measured before the first step, in favour of the one that solved? Half would be "
        "chance. The intervals are bootstrap intervals over settings, which are drawn with all their seeds."
    ),
    optional=True,
)
def answer(run: Run) -> Answer | None:
    found = foretelling(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found), details=tuple(_details(found)), table=_table(found), summary=found.rows
    )


def _sentence(found: Foretelling) -> str:
    together = records(found.rows[(found.rows["task"] == ALL) & (found.rows["seq_len"] == ALL)])
    best = max(together, key=lambda row: row["auc"])
    certain = _verdict(best)
    solved = f"{best['solved']} of {counted(best['solved'] + best['unsolved'], 'training')}"
    if certain is None:
        return (
            f"Too few settings to say: the task was solved by {solved}, over "
            f"{counted(int(best['settings']), 'setting')}. The shares of their pairs, in the table, say "
            "nothing of others."
        )
    return (
        f"{certain}: of what was measured before the first step, {_quantity(best)} tells best, in "
        f"{_interval(best, 'auc')} of pairs of the same task and T (solved by {solved})."
    )


def _verdict(row: dict[str, Any]) -> str | None:
    """By the interval: does it leave out one half?  None where too few settings gave none."""
    if missing(row["auc_low"]):
        return None
    if row["auc_low"] > 0.5:
        return "Yes, to a degree" if row["auc"] < 0.9 else "Yes"
    return "No, the opposite" if row["auc_high"] < 0.5 else "Not beyond chance"


def _details(found: Foretelling) -> list[str]:
    rows = records(found.rows[(found.rows["task"] == ALL) & (found.rows["seq_len"] == "any")])
    if not rows or any(missing(row["auc_low"]) for row in rows):
        return []
    words = [f"{_quantity(row)} {_interval(row, 'auc')}" for row in rows]
    return [
        f"Where T may differ, a longer one being harder and reached by less, shares are: {', '.join(words)}."
    ]


def _quantity(row: dict[str, Any]) -> str:
    return PREDICTORS[row["predictor"]]


def _interval(row: dict[str, Any], name: str) -> str:
    if missing(row[f"{name}_low"]):
        return percent(row[name])
    return f"{percent(row[name])} [{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]"


def _table(found: Foretelling) -> Table:
    ways = found.rows.groupby(["task", "seq_len"], sort=False)["way"].nunique()
    several = bool((ways > 1).any())
    rows = [
        (
            str(row["task"]),
            plain(row["seq_len"]),
            *([str(row["way"])] if several else []),
            _quantity(row),
            str(row["solved"]),
            str(row["unsolved"]),
            str(row["settings"]),
            _interval(row, "auc"),
            _interval(row, "concordance"),
        )
        for row in records(found.rows)
    ]
    numbers = ("solved", "not", "settings", "solved or not", "who sooner")
    columns = ("task", "T", *(["trained by"] if several else []), "before training", *numbers)
    caption = "Share of pairs foretold, with its 95 % interval; T any: pairs of the same task, T may differ."
    return Table(columns, tuple(rows), caption, frozenset(numbers))
