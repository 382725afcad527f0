"""How long does a fresh process take to its first result?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, most, only, records
from harness.report.summaries.startup import STAGES, Startup, startup
from harness.report.tables import Table
from harness.report.words import (
    counted,
    listed,
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

CACHES = {"cold": "none yet", "warm": "on disk", "none": "not kept"}
"""Where compiled code is when a process starts, by the name of the cache's state."""


@question(
    "startup",
    heading="How long does a fresh process take to its first result?",
    study="startup",
    order=14,
    explanation=(
        "A process of its own for each observation, from its start to the results of one pass, held against "
        "the reference; nothing of the harness is loaded on the way. A backend that keeps compiled code on "
        "disk starts once with an empty folder, then with what that start left there; the libraries' own "
        "files are in the system's cache in either case."
    ),
)
def answer(run: Run) -> Answer | None:
    summary = startup(run)
    if summary is None:
        return None
    return Answer(
        sentence=_sentence(summary),
        details=(*_kept(summary), *_compiled_anew(summary)),
        table=_table(summary),
        summary=summary.frame,
    )


def _sentence(summary: Startup) -> str:
    """The way of each backend, once it may find compiled code, in the pass that takes longest."""
    usual = summary.frame[summary.frame["cache"] != "cold"]
    varying, _ = split_constant(summary.frame, summary.axes)
    words = []
    for backend, part in usual.groupby("backend", sort=False):
        slowest = most(part, "first_result_seconds")
        where = setting(only(slowest, varying))
        words.append((slowest["first_result_seconds"], str(backend), where))
    if not words:
        return "No start that could find compiled code was measured."
    told = [
        f"{significant(seconds)} s in {backend}{f' ({where})' if where else ''}"
        for seconds, backend, where in sorted(words)
    ]
    return f"To its first result a fresh process takes up to {listed(told)}."


def _kept(summary: Startup) -> list[str]:
    """What a backend's compiled code on disk saves."""
    sentences = []
    for backend, part in summary.frame.groupby("backend", sort=False):
        cold, warm = part[part["cache"] == "cold"], part[part["cache"] == "warm"]
        if cold.empty or warm.empty:
            continue
        paired = cold.merge(warm, on=summary.axes, suffixes=("_cold", "_warm"))
        ratio = paired["first_result_seconds_cold"] / paired["first_result_seconds_warm"]
        again = int(warm["pieces_compiled"].fillna(0).sum())
        found = "every piece of code found" if again == 0 else f"{counted(again, 'piece')} compiled again"
        sentences.append(
            f"{backend} keeps compiled code on disk: {_range(warm)} with it ({found}), {_range(cold)} the "
            f"first time, up to {times(ratio.max())} as long."
        )
    return sentences


def _compiled_anew(summary: Startup) -> list[str]:
    none = summary.frame[(summary.frame["cache"] == "none") & (summary.frame["pieces_compiled"] > 0)]
    return [
        f"{backend} keeps none and compiles in every process: {_range(part, 'compile_seconds')} of each "
        "start."
        for backend, part in none.groupby("backend", sort=False)
    ]


def _range(part: pd.DataFrame, column: str = "first_result_seconds") -> str:
    first, last = (significant(value, 2) for value in (part[column].min(), part[column].max()))
    return f"{first} s" if first == last else f"{first} to {last} s"


def _table(summary: Startup) -> Table:
    varying, constant = split_constant(summary.frame, summary.axes)
    rows = [
        (
            *(plain(chosen[axis]) for axis in varying),
            str(row["backend"]),
            _code(row),
            significant(row["first_result_seconds"]),
            _spread(row),
            *(significant(row[stage], 2) if not missing(row[stage]) else "–" for stage in STAGES),
            _pieces(row),
            milliseconds(row["next_call_seconds"]),
            plain(int(row["starts"])),
        )
        for chosen, part in groups(summary.frame, summary.axes)
        for row in records(part)
    ]
    times_ = ("first result (s)", "from–to", "interpreter", "imports", "compile or load", "rest")
    columns = (
        *map(symbol, varying),
        *("backend", "compiled code", *times_, "compiled + loaded", "next call (ms)", "starts"),
    )
    caption = phrase(
        "Seconds from the start of a process to its first result, means over starts, and what they went into",
        setting(constant),
        "rest: parameters and inputs brought into the backend's form, and the first call without what it "
        "compiled",
        "compile or load: as the backend itself counts it, – where it does not compile or cannot tell",
    )
    numeric = frozenset({*times_, "next call (ms)", "starts"})
    return Table(columns, tuple(rows), caption + ".", numeric)


def _code(row: Mapping[str, Any]) -> str:
    """Where compiled code is; "–" where there may be none at all."""
    if row["cache"] == "none" and missing(row["pieces_compiled"]):
        return "–"
    return CACHES.get(str(row["cache"]), str(row["cache"]))


def _spread(row: Mapping[str, Any]) -> str:
    return "–" if row["starts"] < 2 else f"{significant(row['low'])}–{significant(row['high'])}"


def _pieces(row: Mapping[str, Any]) -> str:
    if missing(row["pieces_compiled"]):
        return "–"
    return f"{int(row['pieces_compiled'])} + {int(row['pieces_loaded'])}"
