"""Which backend is fastest, where, and by how much?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.machines import apart, with_place
from harness.report.questions import Answer, question
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups, least, most, only, records
from harness.report.summaries.throughput import Throughput, throughput
from harness.report.tables import Table
from harness.report.verdicts import FEWEST_PROCESSES, THRESHOLD, WORDS
from harness.report.words import (
    NOT_AVAILABLE,
    counted,
    duration,
    listed,
    milliseconds,
    missing,
    percent,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
    times,
)

UNSTABLE = "†"
"""Stands beside a number that something disturbed."""
COMPILE_CAPTION = (
    "compile: what the backend spent on compiling or on loading compiled code for this case, probes of its "
    "size included (the longest of the processes), – where all was there already"
)


@question(
    "throughput",
    heading="Which backend is fastest, where, and by how much?",
    study="throughput",
    order=10,
    explanation=(
        "Time of one call, warmed up, after its results were held against the reference. Inference is a "
        "forward that keeps nothing; training is a forward and the full backward."
    ),
)
def answer(run: Run) -> Answer | None:
    summary = throughput(run)
    if summary is None:
        return None
    compared = [part for _, part in groups(summary.frame, summary.axes) if len(part) > 1]
    return Answer(
        sentence=_winners(summary, compared),
        details=(
            *_by_pass(summary, compared),
            *_against_reference(summary),
            *_processes(summary),
            *_threads(summary, compared),
            *_compiled(summary),
        ),
        table=_table(run, summary),
        summary=summary.frame.assign(reference=summary.reference),
    )


def _winners(summary: Throughput, compared: Sequence[pd.DataFrame]) -> str:
    frame = summary.frame
    if not compared:
        low, high = frame["steps_per_second"].min(), frame["steps_per_second"].max()
        names = listed(sorted(frame["backend"].unique()))
        return (
            f"No case was measured on two backends, so nothing can be compared; {names} ran at "
            f"{significant(low)} to {significant(high)} steps per second."
        )
    (name, number), *others = _wins(compared).items()
    rest = f"; {listed([f'{other} in {count}' for other, count in others])}" if others else ""
    leads = [_lead(part) for part in compared if least(part, "seconds")["backend"] == name]
    return (
        f"{name} was fastest in {number} of {counted(len(compared), 'comparison')} (one cell, pass and set "
        f"of sizes each), there at {times(geometric_mean(leads))} the runner-up's speed in the geometric "
        f"mean{rest}{_without_verdict(summary)}."
    )


def _without_verdict(summary: Throughput) -> str:
    """What must stand in the same sentence where nothing could be judged; empty where something was."""
    if summary.frame["processes"].max() < FEWEST_PROCESSES:
        return "; by one process each, so without a verdict"
    judged = summary.frame["verdict"].dropna()
    if not len(judged) or (judged != "invalid").any():
        return ""
    why = Counter(summary.frame["verdict_reason"].dropna()).most_common(1)[0][0]
    return f"; without a verdict: of {counted(len(judged), 'speed-up')} none is valid (mostly: {why})"


def _lead(part: pd.DataFrame) -> float:
    """Time of the second fastest over that of the fastest."""
    first, second = part["seconds"].nsmallest(2)
    return float(second / first)


def _wins(compared: Sequence[pd.DataFrame]) -> dict[str, int]:
    """Backend -> how often it was fastest, the most frequent first."""
    counts = Counter(str(least(part, "seconds")["backend"]) for part in compared)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (-counts[name], name))}


def _against_reference(summary: Throughput) -> list[str]:
    frame = summary.frame.dropna(subset=["speedup"])
    varying, _ = split_constant(summary.frame, summary.axes)
    sentences = []
    others = frame[frame["backend"] != summary.reference].sort_values("backend", kind="stable")
    for chosen, part in groups(others, ["backend", *apart(summary.axes)]):
        backend = with_place(chosen["backend"], chosen)
        low, high = least(part, "speedup"), most(part, "speedup")
        sentence = f"{backend}: {times(geometric_mean(part['speedup']))} the speed of {summary.reference}"
        slowest, fastest = times(low["speedup"]), times(high["speedup"])
        number = counted(len(part), "comparison")
        if slowest == fastest:
            sentences.append(f"{sentence}, the same in {number}.")
            continue
        sentences.append(
            f"{sentence} in the geometric mean over {number}, from {slowest} "
            f"({setting(only(low, varying))}) to {fastest} ({setting(only(high, varying))})."
        )
    return sentences


def _by_pass(summary: Throughput, compared: Sequence[pd.DataFrame]) -> list[str]:
    if "pass" not in summary.axes or len(_wins(compared)) < 2:
        return []
    sentences = []
    for name in dict.fromkeys(summary.frame["pass"]):
        wins = _wins([part for part in compared if part["pass"].iloc[0] == name])
        if wins:
            words = [f"{backend} in {number}" for backend, number in wins.items()]
            sentences.append(f"Fastest in {name}: {listed(words)} of {sum(wins.values())}.")
    return sentences


def _processes(summary: Throughput) -> list[str]:
    most = int(summary.frame["processes"].max())
    if most < 2:
        return [
            "Each case ran in one process; how much processes differ was not measured, so no intervals "
            "are given, and small differences mean nothing."
        ]
    judged = summary.frame["verdict"].dropna()
    sentences = []
    if len(judged):
        counts = [(word, int((judged == word).sum())) for word in WORDS]
        words = [f"{number} {word}" for word, number in counts if number]
        sentences.append(
            f"Over up to {most} processes per case, {counted(len(judged), 'speed-up')} over "
            f"{summary.reference}: {listed(words)} (t-interval on paired ratios, "
            f"false-discovery rate 5 % over all of them, practical threshold {percent(THRESHOLD)})."
        )
    return [*sentences, *_unstable(summary)]


def _unstable(summary: Throughput) -> list[str]:
    cases = summary.processes
    unstable, again = int(cases["unstable"].notna().sum()), int((cases["attempts"] > 1).sum())
    if not again and not unstable:
        return []
    return [
        f"{counted(again, 'case')} of {len(cases)} measured again because something disturbed the samples; "
        f"{unstable} stayed unstable ({UNSTABLE} in the table): no verdict rests on them, unless pairs "
        "cancel what disturbed them."
    ]


def _threads(summary: Throughput, compared: Sequence[pd.DataFrame]) -> list[str]:
    unequal = [part for part in compared if part["threads_in_force"].dropna().nunique() > 1]
    if not unequal:
        return []
    by_backend = summary.frame.groupby("backend")["threads_in_force"].max().dropna()
    words = [f"{name} {plain(threads)}" for name, threads in by_backend.items()]
    return [f"Threads in force were not equal: {listed(words)}."]


def _compilation(row: Mapping[str, Any]) -> str:
    """Milliseconds, and whether code was compiled or found on disk; "–" where all was there already."""
    if missing(row["compile_seconds"]):
        return NOT_AVAILABLE
    pieces = {word: row[f"pieces_{word}"] for word in ("compiled", "loaded")}
    words = [f"{int(number)} {word}" for word, number in pieces.items() if number > 0]
    return f"{milliseconds(row['compile_seconds'])} ({listed(words)})" if words else "–"


def _compiled(summary: Throughput) -> list[str]:
    """What each backend compiled for all cases."""
    known = summary.frame.dropna(subset=["compile_seconds"])
    return [
        f"For these cases {backend} compiled {counted(int(part['pieces_compiled'].sum()), 'piece')} of code "
        f"and loaded {plain(int(part['pieces_loaded'].sum()))} from disk, in "
        f"{duration(part['compile_seconds'].sum())}, outside of every time shown."
        for backend, part in known.groupby("backend", sort=False)
    ]


def _table(run: Run, summary: Throughput) -> Table:
    varying, constant = split_constant(summary.frame, summary.axes)
    present = [name for name in run.backends if (summary.frame["backend"] == name).any()]
    known = summary.frame[summary.frame["compile_seconds"].notna()]
    telling = [name for name in present if (known["backend"] == name).any()]
    rows = []
    for chosen, part in groups(summary.frame, summary.axes):
        seconds = part.set_index("backend")["seconds"]
        first = part.set_index("backend")["first_call_seconds"]
        unstable = part.set_index("backend")["unstable"]
        made_ready = {row["backend"]: _compilation(row) for row in records(part)}
        ranked = seconds.sort_values()
        best = len(ranked) > 1
        rows.append(
            (
                *(plain(chosen[axis]) for axis in varying),
                *(_marked(seconds.get(name), unstable.get(name)) for name in present),
                str(ranked.index[0]) if best else NOT_AVAILABLE,
                times(ranked.iloc[1] / ranked.iloc[0]) if best else NOT_AVAILABLE,
                *(milliseconds(float(first.get(name, float("nan")))) for name in present),
                *(made_ready.get(name, NOT_AVAILABLE) for name in telling),
            )
        )
    first_calls = [f"{name}, first call" for name in present]
    compiling = [f"{name}, compile" for name in telling]
    columns = (*map(symbol, varying), *present, "fastest", "lead", *first_calls, *compiling)
    caption = phrase(
        "Time of one call in ms (median within a process, geometric mean over processes)",
        setting(constant),
        "lead: over the second fastest",
        "first call: of this case, in a process that may have compiled for earlier ones",
        f"{UNSTABLE}: some process stayed unstable" if summary.frame["unstable"].any() else "",
        COMPILE_CAPTION if telling else "",
    )
    numeric = {symbol(a) for a in varying if a in ("seq_len", "batch_size", "input_size", "hidden_size")}
    return Table(columns, tuple(rows), caption + ".", frozenset({*numeric, *present, "lead", *first_calls}))


def _marked(seconds: float | None, unstable: float | None) -> str:
    """The time in ms, with a mark where a process stayed unstable."""
    text = milliseconds(float("nan") if seconds is None else float(seconds))
    return f"{text} {UNSTABLE}" if unstable else text
