"""Everything that has no number, and why: cases that ended alike stand together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.ledger import Entry
from harness.report.escape import one_line
from harness.report.frames import Run, reason, status
from harness.report.words import listed

_LOG_CHARACTERS = 4000
_LOGS = 20


@dataclass(frozen=True)
class Reason:
    """Cases that ended alike: reasons that differ in their numbers alone are one.

    Args:
        status: unsupported, failed or open.
        reason: that of the first.
        count: how many cases.
        varies: the numbers in the reason differ from case to case.
        studies, backends: where it happened.
        example: the first case; its log, the end of it, where it failed.
    """

    status: str
    reason: str
    count: int
    varies: bool
    studies: str
    backends: str
    example: str
    log: str


def reasons(run: Run) -> list[Reason]:
    """Everything without a measurement, failures first, the most frequent first."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in run.entries:
        if status(entry) != "measured":
            pattern = re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", reason(entry) or "")
            found.setdefault((status(entry), pattern), []).append(entry)
    made = [_reason(ended, entries) for (ended, _), entries in found.items()]
    order = {"failed": 0, "open": 1, "unsupported": 2}
    return sorted(made, key=lambda group: (order[group.status], -group.count, group.reason))


def _reason(ended: str, entries: list[Entry]) -> Reason:
    first = entries[0]
    log = getattr(first.outcome, "log", "")
    return Reason(
        status=ended,
        reason=one_line(reason(first) or ""),
        count=len(entries),
        varies=len({reason(entry) for entry in entries}) > 1,
        studies=listed(sorted({entry.case.study for entry in entries})),
        backends=listed(sorted({str(entry.case.axes.get("backend", "")) for entry in entries} - {""})),
        example=one_line(first.case),
        log=log[-_LOG_CHARACTERS:],
    )


def logs(found: list[Reason]) -> list[Reason]:
    """Those that left a log, a readable number of them."""
    return [group for group in found if group.log.strip()][:_LOGS]
