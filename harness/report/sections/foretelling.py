"""Does the decay of a network that has learned nothing foretell what it will learn?"""

from __future__ import annotations

from typing import Any

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.foretelling import ALL, ANY, EACH, PREDICTORS, Foretelling, foretelling
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
        "chance. Pairs of one cell are counted apart too: cells differ in more than how far they reach. "
        "The intervals are bootstrap intervals over settings, which are drawn with all their seeds."
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
    together, of_one = _norm(found, ANY), _norm(found, EACH)
    if together is None:
        return "Nothing was measured before the first step that could foretell."
    certain = _verdict(together)
    solved = f"{together['solved']} of {counted(together['solved'] + together['unsolved'], 'training')}"
    if certain is None:
        return (
            f"Too few settings to say: the task was solved by {solved}, over "
            f"{counted(int(together['settings']), 'setting')}. The shares of their pairs, in the table, say "
            "nothing of others."
        )
    own = None if of_one is None else _verdict(of_one)
    words = (
        f"the training that solved had the larger ‖∂h_T/∂h_0‖₂ before its first step in "
        f"{_interval(together, 'auc')} of pairs of the same task and T (solved by {solved})"
    )
    if of_one is None or own is None:
        return f"{certain}: {words}."
    answers = certain if own == certain else f"{certain}, where cells differ; within one cell: {_lower(own)}"
    return f"{answers}: {words}, and in {_interval(of_one, 'auc')} of those of one cell."


def _norm(found: Foretelling, cells: str) -> dict[str, Any] | None:
    """What the norm itself tells, of all pairs together or of those of one cell; None where there is none."""
    rows = found.rows
    chosen = (rows["task"] == ALL) & (rows["seq_len"] == ALL) & (rows["cells"] == cells)
    return next(iter(records(rows[chosen & (rows["predictor"] == "norm")])), None)


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def _verdict(row: dict[str, Any]) -> str | None:
    """By the interval: does it leave out one half?  None where too few settings gave none."""
    if missing(row["auc_low"]):
        return None
    if row["auc_low"] > 0.5:
        return "Yes, to a degree" if row["auc"] < 0.9 else "Yes"
    return "No, the opposite" if row["auc_high"] < 0.5 else "Not beyond chance"


def _details(found: Foretelling) -> list[str]:
    """Of every quantity: pairs of any two cells, of one, and where T may differ."""
    sentences = []
    for where, cells, seq_len in (
        ("Of pairs of the same task and T", ANY, ALL),
        ("Of those of one cell", EACH, ALL),
        ("Where T may differ, a longer one being harder and reached by less,", ANY, "any"),
    ):
        chosen = (found.rows["task"] == ALL) & (found.rows["cells"] == cells)
        rows = records(found.rows[chosen & (found.rows["seq_len"] == seq_len)])
        if rows and not any(missing(row["auc_low"]) for row in rows):
            words = [f"{_quantity(row)} {_interval(row, 'auc')}" for row in rows]
            sentences.append(f"{where} shares are: {', '.join(words)}.")
    return sentences


def _quantity(row: dict[str, Any]) -> str:
    return PREDICTORS[row["predictor"]]


def _interval(row: dict[str, Any], name: str) -> str:
    if missing(row[f"{name}_low"]):
        return percent(row[name])
    return f"{percent(row[name])} [{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]"


def _table(found: Foretelling) -> Table:
    ways = found.rows.groupby(["task", "seq_len"], sort=False)["way"].nunique()
    apart = found.rows["cells"].nunique() > 1
    several = bool((ways > 1).any())
    rows = [
        (
            str(row["task"]),
            plain(row["seq_len"]),
            *(["one" if row["cells"] == EACH else "any"] if apart else []),
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
    told_apart = [*(["cells"] if apart else []), *(["trained by"] if several else [])]
    columns = ("task", "T", *told_apart, "before training", *numbers)
    caption = "Share of pairs foretold, with its 95 % interval; T any: pairs of the same task, T may differ"
    caption += "; cells one: both trainings of a pair have the same cell." if apart else "."
    return Table(columns, tuple(rows), caption, frozenset(numbers))
