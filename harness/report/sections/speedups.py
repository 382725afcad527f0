"""How much faster is the fastest than each of its peers, on average and at its worst?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.frames import Run
from harness.report.machines import apart, with_place
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.speedups import Speedups, speedups
from harness.report.tables import Table
from harness.report.verdicts import WORDS
from harness.report.words import counted, listed, missing, plain, setting, split_constant, times


@question(
    "speedups",
    heading="How much faster is the fastest backend than each other, and where is it at its worst?",
    study="throughput",
    order=12,
    explanation=(
        "Ratios of times on the same cases within the same replicate, condensed to their geometric mean, "
        "with its 95 % interval over replicates; no case that both ran is left out, and the worst is named."
    ),
    optional=True,
)
def answer(run: Run) -> Answer | None:
    summary = speedups(run)
    if summary is None:
        return None
    overall = _overall(summary)
    head = [
        f"{times(row['speedup'])} the speed of {with_place(row['peer'], row)} "
        f"({_interval(row)}at worst {times(row['worst'])}{_none_valid(row)})"
        for row in overall
    ]
    return Answer(
        sentence=f"{summary.champion}, the fastest most often, runs at {listed(head)} in the geometric mean.",
        details=tuple(_worst(row, summary) for row in overall),
        table=_table(summary),
        summary=summary.frame,
    )


def _ours(summary: Speedups) -> Any:
    return summary.frame[summary.frame["backend"] == summary.champion]


def _overall(summary: Speedups) -> list[dict[str, Any]]:
    """The rows over all cells and passes, one per peer (and machine), the closest peer first."""
    ours = _ours(summary)
    kinds = [kind for kind in summary.kinds if kind not in apart(summary.kinds)]
    rows = ours[ours[kinds].isna().all(axis=1)] if kinds else ours
    return records(rows.sort_values("speedup"))


def _interval(row: Mapping[str, Any]) -> str:
    """ "2.1× to 2.4×, ", or nothing where one process has no interval."""
    if missing(row["speedup_low"]):
        return ""
    return f"{times(row['speedup_low'])} to {times(row['speedup_high'])}, "


def _verdicts(row: Mapping[str, Any]) -> str:
    counts = [f"{int(row[word])} {word}" for word in WORDS if row[word]]
    return f"; of the points, {listed(counts)}" if counts else ""


def _none_valid(row: Mapping[str, Any]) -> str:
    """What has to be said beside a ratio on which no verdict rests."""
    return ", no comparison of them valid" if row["invalid"] == row["points"] else ""


def _worst(row: Mapping[str, Any], summary: Speedups) -> str:
    place = _place(row, summary)
    begin = f"Against {with_place(row['peer'], row)}, over {counted(int(row['points']), 'case')}"
    if row["worst"] >= 1:
        return f"{begin}: nowhere slower; the least lead is {times(row['worst'])}{place}{_verdicts(row)}."
    return f"{begin}: slower at {times(row['worst'])} in the worst of them{place}{_verdicts(row)}."


def _place(row: Mapping[str, Any], summary: Speedups) -> str:
    names = [f"worst_{axis}" for axis in summary.axes]
    varying, _ = split_constant(summary.frame, names)
    words = setting({name.removeprefix("worst_"): row[name] for name in varying})
    return f" ({words})" if words else ""


def _table(summary: Speedups) -> Table:
    rows = []
    for kind, part in groups(_ours(summary), summary.kinds):
        for row in records(part.sort_values("speedup")):
            rows.append(
                (
                    *("all" if value != value else plain(value) for value in kind.values()),
                    str(row["peer"]),
                    plain(int(row["points"])),
                    times(row["speedup"]),
                    times(row["worst"]),
                    _place(row, summary).strip(" ()"),
                    times(row["best"]),
                )
            )
    columns = (*summary.kinds, "against", "cases", "geometric mean", "worst", "worst at", "best")
    caption = (
        f"Speed of {summary.champion} over each other backend. Of every two: tables/speedups_summary.csv."
    )
    return Table(columns, tuple(rows), caption, frozenset({"cases", "geometric mean", "worst", "best"}))
