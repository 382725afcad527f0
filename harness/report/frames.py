"""A run as tidy frames: one row per observation, the axes as columns.

The one idea: every planned case has rows, the measured ones as many as they observed, any other a single
one that says why there is no number.  What was not measured is missing (NaN), never zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.ledger import Entry, Ledger
from harness.outcome import Failed, Measured, Unsupported
from harness.redact import Redactor
from harness.report import machines

_ORDER = (
    *("backend", "cell", "pass", "initialization", "gain", "forget_bias", "inputs"),
    *("rule", "place", "threshold", "loss", "dtype", "seq_len", "batch_size", "input_size", "hidden_size"),
)
"""How people name a case; an axis that is not here comes after these, the seed last."""

IDENTITY = ("key", "study", "replicate", "status", "reason")
"""Columns that every frame has.  `status` is measured, unsupported, failed or open."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a ledger says.  A run equals itself alone, so that summaries of it can be remembered.

    Args:
        folder: the run's folder.
        facts: plan, environment, run id, command, by name.
        entries: every planned case with its outcome, in the plan's order.
    """

    folder: Path
    facts: Mapping[str, Any]
    entries: tuple[Entry, ...]
    _frames: Mapping[str, pd.DataFrame]

    @classmethod
    def read(cls, folder: Path, *, redact: bool = False) -> Run:
        """Read `folder`/ledger.sqlite.

        Args:
            redact: take users, hosts and paths out of facts, reasons and logs.

        Raises:
            UserError: there is no readable ledger.
        """
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            facts, entries = ledger.facts(), tuple(ledger.entries())
        if redact:
            facts, entries = _redacted(facts, entries)
        by_study: dict[str, list[Entry]] = {}
        for entry in entries:
            by_study.setdefault(entry.case.study, []).append(entry)
        return cls(folder, facts, entries, {study: tidy(listed) for study, listed in by_study.items()})

    @property
    def studies(self) -> tuple[str, ...]:
        """The studies of this run, in the plan's order."""
        return tuple(self._frames)

    def frame(self, study: str) -> pd.DataFrame:
        """One row per observation: identity, axes, facts, observed columns; empty for a study not run."""
        return self._frames.get(study, pd.DataFrame(columns=list(IDENTITY)))

    def measured(self, study: str) -> pd.DataFrame:
        """The rows of :meth:`frame` that hold a measurement.

        Where comparisons are confined to one machine each, `machine` holds its short name, "A".
        """
        frame = self.frame(study)
        frame = frame[frame["status"] == "measured"].reset_index(drop=True)
        if machines.AXIS in self._joined(study) and machines.AXIS in frame:
            frame[machines.AXIS] = frame[machines.AXIS].map(self.machines)
        return frame

    def axes(self, study: str) -> list[str]:
        """Names of the study's axes, as columns of :meth:`frame`.

        The machine is one of them for what only compares on one machine, in a run that had several: so
        whoever groups by the axes never pools nor compares across machines.
        """
        found = axis_columns([entry for entry in self.entries if entry.case.study == study])
        return [*self._joined(study), *found]

    @cached_property
    def machines(self) -> dict[str, str]:
        """Fingerprint of each machine that measured something -> its short name: "A", "B", …"""
        return machines.short_names(self.entries)

    @cached_property
    def _timed_on(self) -> set[str]:
        """The machines whose times, or bytes, would be compared."""
        return set(machines.short_names(e for e in self.entries if e.case.study in machines.CONFINED))

    def _joined(self, study: str) -> list[str]:
        """The axis that no plan has: the machine, where it matters and differs."""
        own = any(machines.AXIS in e.case.axes for e in self.entries if e.case.study == study)
        apart = study in machines.CONFINED and len(self._timed_on) > 1 and not own
        return [machines.AXIS] if apart and machines.AXIS in self.frame(study) else []

    def counts(self, study: str | None = None) -> dict[str, int]:
        """How many cases (of one study) ended how."""
        found = Counter(status(e) for e in self.entries if study is None or e.case.study == study)
        return {name: found[name] for name in ("measured", "unsupported", "failed", "open") if found[name]}

    @property
    def backends(self) -> list[str]:
        """Every backend that the run planned, sorted."""
        return sorted({str(entry.case.axes.get("backend", "")) for entry in self.entries} - {""})


def _redacted(
    facts: Mapping[str, Any], entries: tuple[Entry, ...]
) -> tuple[dict[str, Any], tuple[Entry, ...]]:
    redactor = Redactor.of_this_machine().heard_in(facts)
    return redactor.facts(facts), tuple(
        entry if entry.outcome is None else replace(entry, outcome=redactor.outcome(entry.outcome))
        for entry in entries
    )


def status(entry: Entry) -> str:
    """How a case ended; `open` where the run stopped before it."""
    return "open" if entry.outcome is None else entry.outcome.status


def reason(entry: Entry) -> str | None:
    """Why there is no measurement; None where there is one."""
    match entry.outcome:
        case None:
            return "planned, not yet run"
        case Unsupported(reason) | Failed(reason):
            return reason
        case _:
            return None


def axis_columns(entries: Sequence[Entry]) -> list[str]:
    """Axis names in order of appearance, out of the way of the identity columns."""
    columns: dict[str, None] = dict.fromkeys(IDENTITY)
    for name in _axis_names(entries):
        columns[_free(name, columns, "axis")] = None
    return list(columns)[len(IDENTITY) :]


def _axis_names(entries: Sequence[Entry]) -> list[str]:
    names = list(dict.fromkeys(name for entry in entries for name in entry.case.axes))
    known = [name for name in _ORDER if name in names]
    others = [name for name in names if name not in _ORDER and name != "seed"]
    return [*known, *others, *(["seed"] if "seed" in names else [])]


def tidy(entries: Sequence[Entry]) -> pd.DataFrame:
    """One frame of all entries of a study.

    A fact that has an axis's name becomes `fact_…`, an observed column that has either's `column_…`.
    """
    rows = [max(1, _length(entry)) for entry in entries]
    data: dict[str, Any] = {
        "key": _spread([e.case.key for e in entries], rows),
        "study": _spread([e.case.study for e in entries], rows),
        "replicate": _spread([e.case.replicate for e in entries], rows),
        "status": _spread([status(e) for e in entries], rows),
        "reason": _spread([reason(e) for e in entries], rows),
    }
    for name in _axis_names(entries):
        values = [e.case.axes.get(name) for e in entries]
        data[_free(name, data, "axis")] = _spread(values, rows)
    measured = [e.outcome if isinstance(e.outcome, Measured) else None for e in entries]
    for name in dict.fromkeys(name for m in measured if m for name in m.facts):
        values = [m.facts.get(name) if m else None for m in measured]
        data[_free(name, data, "fact")] = _spread(values, rows)
    for name in dict.fromkeys(name for m in measured if m for name in m.columns):
        pieces = [list(m.columns.get(name, ())) if m else [] for m in measured]
        data[_free(name, data, "column")] = _joined(pieces, rows)
    return pd.DataFrame(data)


def _length(entry: Entry) -> int:
    if not isinstance(entry.outcome, Measured):
        return 0
    return max((len(values) for values in entry.outcome.columns.values()), default=0)


def _free(name: str, taken: Any, kind: str) -> str:
    while name in taken:
        name = f"{kind}_{name}"
    return name


def _spread(values: Sequence[Any], rows: Sequence[int]) -> pd.Series:
    return _series(np.repeat(_objects(values), rows))


def _joined(pieces: Sequence[list[Any]], rows: Sequence[int]) -> pd.Series:
    flat = [
        value for piece, n in zip(pieces, rows, strict=True) for value in (*piece, *[None] * (n - len(piece)))
    ]
    return _series(_objects(flat))


def _objects(values: Sequence[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _series(values: Any) -> pd.Series:
    """Numbers as numbers (a missing one is NaN), anything else as it is."""
    kinds = set(map(type, values))
    if kinds <= {int, float, type(None)} and kinds != {type(None)} and kinds:
        whole = kinds == {int}
        if not whole or max(map(abs, values)) < 2**63:
            return pd.Series(values).astype("int64" if whole else "float64")
    return pd.Series(values, dtype=object)
