"""From which size does another backend win?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.crossover import DECIDED, Crossovers, crossovers
from harness.report.summaries.grouping import records
from harness.report.tables import Table
from harness.report.words import (
    counted,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
    times,
)

SENTENCES = 6
"""Crossings told one by one; the table has them all."""


@question(
    "crossover",
    heading="From which size does another backend win?",
    study="throughput",
    order=24,
    explanation=(
        "Where one backend is faster at one size and the other at the next, the crossing is interpolated on "
        f"logarithms; where they are within {round(100 * (DECIDED - 1))} % of each other nothing is decided."
    ),
    optional=True,
)
def answer(run: Run) -> Answer | None:
    summary = crossovers(run)
    if summary is None:
        return None
    if summary.frame.empty:
        return Answer(
            "Nowhere: over the sizes measured no backend overtakes another, in "
            f"{counted(summary.compared, 'comparison')} of two backends along one size."
        )
    first = summary.frame[summary.frame["first"]]
    told = _told(summary, first)
    return Answer(
        sentence=_sentence(summary, first),
        details=tuple(told),
        table=_table(summary),
        summary=summary.frame,
    )


def _sentence(summary: Crossovers, first: pd.DataFrame) -> str:
    pairs = counted(len(summary.frame), "crossing")
    begin = f"{pairs} in {counted(summary.compared, 'comparison')} of two backends along one size"
    if first.empty:
        return f"{begin}; none of them changes which backend is the fastest of all."
    change = "changes" if len(first) == 1 else "change"
    return f"{begin}; {len(first)} of them {change} which backend is the fastest of all."


def _told(summary: Crossovers, first: pd.DataFrame) -> list[str]:
    sentences = [_words(row, summary) for row in records(first.head(SENTENCES))]
    more = len(first) - SENTENCES
    return [*sentences, f"{more} more in the table."] if more > 0 else sentences


def _words(row: Mapping[str, Any], summary: Crossovers) -> str:
    varying, _ = split_constant(summary.frame, summary.axes)
    where = setting({axis: row[axis] for axis in varying if axis != row["size"]})
    letter = symbol(row["size"])
    return (
        f"From {letter} ≈ {significant(row['at'], 2)} on {row['faster_above']} is faster than "
        f"{row['faster_below']}{f' ({where})' if where else ''}: {times(row['lead_below'])} behind at "
        f"{letter}={plain(row['below'])}, {times(row['lead_above'])} ahead at {letter}={plain(row['above'])}."
    )


def _table(summary: Crossovers) -> Table:
    frame = summary.frame
    varying, constant = split_constant(frame, summary.axes)
    rows = [
        (
            symbol(row["size"]),
            *("–" if axis == row["size"] else plain(row[axis]) for axis in varying),
            significant(row["at"], 2),
            str(row["faster_below"]),
            f"{times(row['lead_below'])} at {plain(row['below'])}",
            str(row["faster_above"]),
            f"{times(row['lead_above'])} at {plain(row['above'])}",
            "yes" if row["first"] else "no",
        )
        for row in records(frame)
    ]
    columns = ("along", *map(symbol, varying), "crossing", "faster below", "by", "faster above", "then by")
    caption = phrase(
        "Crossings of every two backends", setting(constant), "those of the fastest of all come first"
    )
    return Table((*columns, "fastest changes"), tuple(rows), caption + ".", frozenset({"crossing"}))
