"""What does each structure cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups, least, most, records
from harness.report.summaries.structures import SINGLE, Structures, structures
from harness.report.tables import Table
from harness.report.words import (
    counted,
    listed,
    mebibytes,
    milliseconds,
    missing,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
    times,
)


@question(
    "structures",
    heading="What does each structure cost?",
    study="structures",
    order=28,
    explanation=(
        "One pass of several layers put together, each held against a float64 composition of the reference. "
        "A skip of s steps adds h_{t−s} to what a step reads, residual adds to a layer's output what it "
        "read. Beside each stands one layer of about as many parameters (its width a multiple of 8)."
    ),
)
def answer(run: Run) -> Answer | None:
    summary = structures(run)
    if summary is None:
        return None
    composed = summary.frame[summary.frame["structure"] != SINGLE]
    return Answer(
        sentence=_sentence(composed),
        details=(
            *_by_structure(composed),
            *_fastest(summary),
            *_memory(composed),
            *_disturbed(summary.frame),
        ),
        table=_table(summary),
        summary=summary.frame,
    )


def _sentence(composed: pd.DataFrame) -> str:
    known = composed.dropna(subset=["over_equal"])
    if known.empty:
        return "No structure was measured beside one layer of as many parameters."
    low, high = least(known, "over_equal"), most(known, "over_equal")
    return (
        f"At the same number of parameters a structure takes from {times(low['over_equal'])} "
        f"({_named(low)}) to {times(high['over_equal'])} ({_named(high)}) the time of one layer."
    )


def _named(row: Mapping[str, Any]) -> str:
    return phrase(str(row["structure"]), f"{row['cell']} in {row['backend']}", str(row["pass"]))


def _by_structure(composed: pd.DataFrame) -> list[str]:
    found = []
    for name, part in composed.groupby("structure", sort=False):
        known = part.dropna(subset=["over_equal", "over_single"])
        if known.empty:
            continue
        equal, single = (geometric_mean(known[c].to_numpy(float)) for c in ("over_equal", "over_single"))
        found.append(
            f"{name}: {times(equal)} the time of one layer of as many parameters, {times(single)} that of "
            f"one of the same width, in the geometric mean over {counted(len(known), 'combination')} of "
            "cell, pass and backend."
        )
    return found


def _fastest(summary: Structures) -> list[str]:
    """Which backend was fastest how often, where several computed a structure."""
    compared = [part for _, part in groups(summary.frame, [*summary.axes, "structure"]) if len(part) > 1]
    if not compared:
        return []
    wins = pd.Series([least(part, "seconds")["backend"] for part in compared]).value_counts()
    words = [f"{name} in {number}" for name, number in wins.items()]
    return [f"Of {counted(len(compared), 'comparison')} between backends the fastest was {listed(words)}."]


def _memory(composed: pd.DataFrame) -> list[str]:
    if composed["peak_bytes"].isna().all():
        return ["Peaks of memory could not be taken in the processes that timed."]
    known = composed.dropna(subset=["bytes_over_equal"])
    if known.empty:
        return []
    low, high = least(known, "bytes_over_equal"), most(known, "bytes_over_equal")
    return [
        f"At its peak a structure holds from {times(low['bytes_over_equal'])} ({_named(low)}) to "
        f"{times(high['bytes_over_equal'])} ({_named(high)}) the memory of one layer of as many parameters."
    ]


def _disturbed(frame: pd.DataFrame) -> list[str]:
    unstable, processes = int(frame["unstable"].sum()), int(frame["processes"].sum())
    if not unstable:
        return []
    return [f"Something disturbed {unstable} of {counted(processes, 'process', 'processes')} to the end."]


def _table(summary: Structures) -> Table:
    axes = [axis for axis in summary.axes if axis != "backend"]
    varying, constant = split_constant(summary.frame, axes)
    last = (
        *("parameters", "ms", "interval", "× one layer", "× as many parameters", "interval of it"),
        *("peak (MiB)", "× its memory", "largest error"),
    )
    rows = [
        (
            *(plain(row[axis]) for axis in varying),
            str(row["structure"]),
            str(row["backend"]),
            f"{row['parameters']:,}",
            milliseconds(row["seconds"]),
            _interval(row["seconds_low"] * 1e3, row["seconds_high"] * 1e3),
            times(row["over_single"]),
            times(row["over_equal"]),
            _interval(row["over_equal_low"], row["over_equal_high"]),
            mebibytes(row["peak_bytes"]),
            times(row["bytes_over_equal"]),
            significant(row["relative_error"], 2),
        )
        for row in records(summary.frame)
    ]
    caption = phrase(
        "Time of a pass, 95 % intervals over processes; ratios to one layer of the same width, and to one of "
        "as many parameters, which its memory is compared with, too",
        setting(constant),
    )
    columns = (*map(symbol, varying), "structure", "backend", *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))


def _interval(low: float, high: float) -> str:
    return "–" if missing(low) or missing(high) else f"{significant(low)}–{significant(high)}"
