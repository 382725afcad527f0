"""Times as every tool has them: a setting, and per process its samples in order, warm-ups apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.case import Case, Scalar
from harness.errors import UserError
from harness.outcome import Measured
from harness.report.frames import Run

STUDY = "throughput"


@dataclass(frozen=True)
class Process:
    """Args:
    replicate: which process, from 0.
    seconds: of one call, sample after sample (those of the last attempt).
    loops: calls per sample.
    warmups: (loops, seconds of one call), before the samples.
    first_call: seconds of the very first call.
    facts: what else is known of this process.
    """

    replicate: int
    seconds: Sequence[float]
    loops: Sequence[int]
    warmups: Sequence[tuple[int, float]] = ()
    first_call: float | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Timed:
    """One setting, in all processes that measured it."""

    axes: Mapping[str, Scalar]
    processes: tuple[Process, ...]

    @property
    def name(self) -> str:
        """The setting in words, as other tools name a benchmark."""
        first = [name for name in ("backend", "cell", "pass") if name in self.axes]
        names = [*first, *(name for name in self.axes if name not in first)]
        words = [f"{name}={self.axes[name]}" for name in names if self.axes[name] is not None]
        return f"{STUDY}[{' '.join(words)}]"


def times(run: Run) -> list[Timed]:
    """Every setting whose time was taken.

    Raises:
        UserError: there is none.
    """
    found: dict[str, list[tuple[Case, Process]]] = {}
    for entry in run.entries:
        if entry.case.study == STUDY and isinstance(entry.outcome, Measured):
            process = _process(entry.case.replicate, entry.outcome)
            if process.seconds:
                found.setdefault(Case(STUDY, entry.case.axes).key, []).append((entry.case, process))
    if not found:
        raise UserError(
            f"{run.folder.name}: no times to export",
            expected=f"a run with the study {STUDY}",
            remedy="export it as csv or parquet, which take every study",
        )
    return [Timed(listed[0][0].axes, tuple(process for _, process in listed)) for listed in found.values()]


def _process(replicate: int, measured: Measured) -> Process:
    rows = _rows(measured.columns)
    last = max((row.get("attempt") or 0 for row in rows), default=0)
    of_last = [row for row in rows if (row.get("attempt") or 0) == last and row["seconds"] > 0]
    samples = [row for row in of_last if row["phase"] == "sample"]
    first = [row["seconds"] for row in rows if row["phase"] == "first_call"]
    return Process(
        replicate,
        [row["seconds"] for row in samples],
        [row.get("loops") or 1 for row in samples],
        [(row.get("loops") or 1, row["seconds"]) for row in of_last if row["phase"] == "warmup"],
        first[0] if first else None,
        measured.facts,
    )


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def cases(timed: Iterable[Timed]) -> Iterator[tuple[Case, Measured]]:
    """The same as cases of a run: one per process."""
    for setting in timed:
        for process in setting.processes:
            first = [] if process.first_call is None else [("first_call", 0, 1, process.first_call)]
            warm = [("warmup", i, n, s) for i, (n, s) in enumerate(process.warmups)]
            pairs = zip(process.loops, process.seconds, strict=True)
            rows = [*first, *warm, *(("sample", i, n, s) for i, (n, s) in enumerate(pairs))]
            columns = dict(
                zip(("phase", "index", "loops", "seconds"), map(list, zip(*rows, strict=True)), strict=True)
            )
            facts = {name: value for name, value in process.facts.items() if name not in columns}
            yield Case(STUDY, setting.axes, process.replicate), Measured(columns, facts)


def numbered(settings: Iterable[tuple[Mapping[str, Scalar], Sequence[Process]]]) -> list[Timed]:
    """Settings that occur more than once become one; processes that share a number get the next free one."""
    found: dict[str, tuple[Mapping[str, Scalar], list[Process]]] = {}
    for axes, processes in settings:
        _, listed = found.setdefault(Case(STUDY, axes).key, (axes, []))
        for process in processes:
            taken = {other.replicate for other in listed}
            number = process.replicate
            while number in taken:
                number += 1
            listed.append(
                Process(
                    number, process.seconds, process.loops, process.warmups, process.first_call, process.facts
                )
            )
    return [Timed(axes, tuple(listed)) for axes, listed in found.values()]


def scalars(values: Mapping[str, Any]) -> dict[str, Scalar]:
    """What of a mapping can be an axis or a fact: plain values of reasonable length."""
    return {
        str(name)[:100]: value
        for name, value in values.items()
        if value is None or (isinstance(value, bool | int | float | str) and len(str(value)) <= 1000)
    }


def moment(seconds: Any) -> str:
    """Seconds since 1970 as ISO 8601; the beginning of time where they are not known."""
    known = isinstance(seconds, int | float) and 0 <= seconds < 2**33
    return datetime.fromtimestamp(seconds if known else 0, tz=UTC).isoformat()
