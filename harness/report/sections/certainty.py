"""Appendix: how far can the comparisons of times be trusted, and what disturbed them?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.report.escape import one_line
from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.certainty import NAMED_SLOWDOWN, STEADY_SPEED, Certainty, certainty
from harness.report.summaries.grouping import records
from harness.report.summaries.throughput import throughput
from harness.report.tables import Table
from harness.report.words import counted, listed, missing, percent, setting, times

MAXIMUM_ROWS = 100
"""Of a recorded self-test; it has about twenty."""
LOAD = re.compile(r"\bload: ")
"""So a disturbance by other processes begins, among others and of whichever attempt."""
QUEUED_SHARE = 0.05
"""Less than this is not worth a word."""


@question(
    "certainty",
    heading="How far can these comparisons be trusted?",
    study="throughput",
    order=90,
    explanation=(
        "The spread of processes, of pairs and within a process is that of this run; coverage, false "
        "positives and power follow from it by simulation, through the very functions that judged the run. "
        "A pair is two backends in one replicate, which took turns: what the machine did to both cancels."
    ),
    optional=True,
)
def answer(run: Run) -> Answer | None:
    found, timed = certainty(run), throughput(run)
    if found is None or timed is None:
        return None
    return Answer(
        sentence=_sentence(found, timed.processes),
        details=(
            *_details(found, timed.processes),
            *_queued(timed.processes),
            *_recorded(run.facts.get("selftest")),
        ),
        table=_disturbed(timed.processes, timed.axes),
        summary=found.power,
        listed=False,
    )


def _sentence(found: Certainty, processes: pd.DataFrame) -> str:
    shares = records(found.power[found.power["slowdown"] == NAMED_SLOWDOWN])
    words = [
        f"{counted(int(row['replicates']), 'process', 'processes')} in {percent(row['power'])}"
        for row in shares
    ]
    return (
        f"Processes of one backend differ by {percent(found.spread.processes)}, ratios of two backends in "
        f"one replicate by {percent(found.spread.pairs)} (standard deviations); at that, a slowdown of "
        f"{percent(NAMED_SLOWDOWN)} is found by {listed(words)} of trials; {_unstable(processes)}."
    )


def _unstable(processes: pd.DataFrame) -> str:
    """How many timings something disturbed to the end, one timing per case and process."""
    unstable = int(processes["unstable"].notna().sum())
    share = f" ({percent(unstable / len(processes))})" if unstable else ""
    return f"{unstable:,} of {counted(len(processes), 'timing')}{share} stayed unstable"


def _details(found: Certainty, processes: pd.DataFrame) -> list[str]:
    wrong = found.false_positives
    changed = [
        f"The machine itself was not steady: a fixed piece of work, timed beside every case, took up to "
        f"{times(found.speed_change)} as long at one time as at another (ninth decile over first). "
        f"{_causes(processes)}"
    ]
    within = f", and samples of one round differ by {percent(found.spread.within)}"
    return [
        *(changed if found.speed_change > STEADY_SPEED else []),
        f"Within a process, its speed drifts by {percent(found.spread.drift)} from round to round"
        f"{within if found.spread.within else ''}.",
        f"The 95 % intervals of {counted(found.replicates, 'process', 'processes')} hold the true time in "
        f"{percent(found.coverage)} of trials, and the true ratio of two backends in "
        f"{percent(found.coverage_of_ratios)}.",
        f"Of identical code over a grid of {counted(found.comparisons, 'comparison')}, "
        f"{percent(wrong.of_comparisons)} of the comparisons, and {percent(wrong.of_grids)} of the grids "
        "anywhere, are called faster or slower.",
    ]


def _causes(processes: pd.DataFrame) -> str:
    """Who may have made the machine slower: other processes only where they were seen at work."""
    seen = pd.Series(False, index=processes.index)
    for name in ("unstable", "disturbed"):
        if name in processes:
            seen |= processes[name].map(lambda why: not missing(why) and bool(LOAD.search(str(why))))
    if not seen.any():
        return "No other processes were seen at work; neighbours of a virtual machine can be a cause."
    return (
        f"Other processes were seen at work beside {int(seen.sum()):,} of "
        f"{counted(len(processes), 'timing')}; they can be a cause, and neighbours of a virtual machine too."
    )


def _queued(processes: pd.DataFrame) -> list[str]:
    """Backends whose threads stood in the queue for a core with nobody else to blame."""
    if "waited_share" not in processes:
        return []
    shares = processes.dropna(subset=["waited_share"])
    often = shares[shares["waited_share"] > QUEUED_SHARE].groupby("backend")["waited_share"]
    if not len(often):
        return []
    told = [
        f"{len(part)} of {one_line(backend)} (median {percent(float(part.median()))})"
        for backend, part in often
    ]
    return [
        f"Threads that stand in the queue behind others of their own process are how a backend runs here, "
        f"and part of its time. They did so for more than {percent(QUEUED_SHARE)} of their time in these of "
        f"{counted(len(shares), 'process', 'processes')}: {listed(told)}."
    ]


def _recorded(selftest: Any) -> list[str]:
    """What `python -m harness selftest` found on this machine, where its result stands beside the runs."""
    rows = selftest.get("rows") if isinstance(selftest, Mapping) else None
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        return []
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row.get("verdict"))] = counts.get(str(row.get("verdict")), 0) + 1
    told = [
        f"The self-test on this machine ({one_line(selftest.get('made_at', 'at an unknown time'))}): "
        + listed([f"{number} {one_line(word)}" for word, number in counts.items()])
        + "."
    ]
    return told + [
        one_line(f"Self-test, {row.get('name')}: target {row.get('target')}, got {row.get('got')}.")
        for row in rows[:MAXIMUM_ROWS]
    ]


def _disturbed(processes: Any, axes: list[str]) -> Table | None:
    """Every process that was disturbed: those that stayed unstable first."""
    seen = processes[processes["unstable"].notna() | (processes["attempts"] > 1)]
    if seen.empty:
        return None
    rows = []
    for row in records(seen.assign(well=seen["unstable"].isna()).sort_values("well", kind="stable")):
        why = row["unstable"]
        earlier = row.get("disturbed")
        rows.append(
            (
                setting({"backend": row["backend"], **{axis: row[axis] for axis in axes}}),
                str(int(row["replicate"])),
                str(int(row["attempts"])),
                "became stable" if missing(why) else one_line(why),
                "" if missing(earlier) else one_line(earlier),
            )
        )
    columns = ("case", "replicate", "attempts", "last attempt", "before")
    caption = (
        "What disturbed samples. Every attempt is in the record; the last is read, and nothing is concluded "
        "from one that stayed unstable, but by drift or spread alone between backends that took turns: that "
        "cancels in their ratio, and widens its interval where it does not."
    )
    return Table(columns, tuple(rows), caption, frozenset({"replicate", "attempts"}))
