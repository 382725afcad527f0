"""What does memory cost as the sequence grows?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, least, most, only
from harness.report.summaries.memory import Memory, memory
from harness.report.tables import Table
from harness.report.words import (
    counted,
    mebibytes,
    phrase,
    plain,
    setting,
    significant,
    size,
    split_constant,
    symbol,
)


@question(
    "memory",
    heading="What does memory cost as the sequence grows?",
    study="memory",
    order=30,
    explanation=(
        "Peak of one warm call above what was in use before it, in a pass of its own; the cost of a step is "
        "the slope of a straight line through the peaks over T, for the whole batch."
    ),
)
def answer(run: Run) -> Answer | None:
    summary = memory(run)
    if summary is None:
        return None
    sentences = _slopes(summary) or [_peaks(summary)]
    return Answer(
        sentence=sentences[0],
        details=(*sentences[1:], *_unclear(summary)),
        table=_table(summary),
        summary=summary.slopes,
    )


def _slopes(summary: Memory) -> list[str]:
    """One sentence per pass, the one that keeps most first."""
    known = summary.slopes.dropna(subset=["bytes_per_step"])
    varying, constant = split_constant(summary.slopes, [axis for axis in summary.axes if axis != "pass"])
    shared = f" ({setting(constant)})" if constant else ""
    found = []
    for chosen, part in groups(known, [axis for axis in ("pass",) if axis in summary.axes]):
        low, high = least(part, "bytes_per_step"), most(part, "bytes_per_step")
        place = f"In {chosen['pass']}{shared}, one" if chosen else "One"
        cheapest = f"{size(low['bytes_per_step'])} ({setting(only(low, ['backend', *varying]))})"
        dearest = f"{size(high['bytes_per_step'])} ({setting(only(high, ['backend', *varying]))})"
        cost = f"{dearest}" if len(part) == 1 else f"from {cheapest} to {dearest}"
        found.append((float(high["bytes_per_step"]), f"{place} more step of T costs {cost}."))
    return [sentence for _, sentence in sorted(found, key=lambda entry: -entry[0])]


def _peaks(summary: Memory) -> str:
    low, high = summary.peaks["peak_bytes"].min(), summary.peaks["peak_bytes"].max()
    return f"Peaks are from {size(low)} to {size(high)}; with one T only, the cost of a step is not known."


def _unclear(summary: Memory) -> list[str]:
    judged = summary.slopes.dropna(subset=["standard_error"])
    unclear = judged[judged["bytes_per_step"].abs() <= 2 * judged["standard_error"]]
    if unclear.empty:
        return []
    return [
        f"For {len(unclear)} of {counted(len(judged), 'line')} the slope is within two standard errors of 0."
    ]


def _table(summary: Memory) -> Table:
    varying, constant = split_constant(summary.slopes, summary.axes)
    rows = [_row(row, varying) for _, row in summary.slopes.iterrows()]
    methods = sorted(set(summary.peaks["method"].dropna().astype(str)))
    caption = phrase(
        "Slope over T with its standard error, and the peak at the largest T",
        setting(constant),
        f"measured by {' and '.join(methods)}" if methods else "",
    )
    columns = (*map(symbol, varying), "backend", "KiB per step", "±", "points", "largest T", "peak (MiB)")
    return Table(
        columns,
        tuple(rows),
        caption + ".",
        frozenset({"KiB per step", "±", "points", "largest T", "peak (MiB)", "B", "H", "I"}),
    )


def _row(row: pd.Series, varying: list[str]) -> tuple[str, ...]:
    return (
        *(plain(row[axis]) for axis in varying),
        str(row["backend"]),
        significant(row["bytes_per_step"] / 1024),
        significant(row["standard_error"] / 1024, 2),
        plain(row["points"]),
        plain(row["longest_seq_len"]),
        mebibytes(row["peak_bytes_at_longest"]),
    )
