"""The record of one run: an SQLite file with every planned case and how it ended.

One transaction per finished case, in WAL mode with `synchronous=FULL`: a case that was acknowledged
survives a kill of the process or the machine.  The run's plan and environment stand in it too, so that a
report needs nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import outcome as outcomes
from harness.case import Case, canonical
from harness.errors import UserError
from harness.outcome import Outcome
from harness.redact import Redactor

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cases (
    key TEXT PRIMARY KEY, ordinal INTEGER NOT NULL UNIQUE, study TEXT NOT NULL, definition TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY REFERENCES cases (key), status TEXT NOT NULL, outcome TEXT NOT NULL,
    finished_at REAL NOT NULL, elapsed_seconds REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Entry:
    """A planned case and, if it has ended, how (None: not yet run)."""

    case: Case
    outcome: Outcome | None
    elapsed_seconds: float | None


class Ledger:
    """Open with :meth:`create` or :meth:`open`; close it, or use it as a context.

    Raises:
        UserError: the file is no ledger, is damaged, or has another version's schema.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, redactor: Redactor | None = None) -> None:
        self.path = path
        self._connection = connection
        self._redactor = redactor

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, Any], cases: Iterable[Case]) -> Ledger:
        """A new ledger that holds the plan, in one transaction: it is whole or it is not there.

        Args:
            path: a file that does not exist.
            facts: JSON values by name (plan, environment, run id).  Where `redacted` is true, names and
                places are taken out of everything that this ledger is ever given.
            cases: every planned case, in the order of the plan.
        """
        redactor = Redactor.of_this_machine() if facts.get("redacted") else None
        if redactor is not None:
            facts = redactor.facts(facts)
        connection = _connect(path)
        with connection:
            connection.executescript(f"BEGIN; {_SCHEMA}")
            rows = {"schema_version": SCHEMA_VERSION, **facts}
            connection.executemany(
                "INSERT INTO run VALUES (?, ?)", [(name, canonical(value)) for name, value in rows.items()]
            )
            connection.executemany(
                "INSERT INTO cases VALUES (?, ?, ?, ?)",
                [(case.key, i, case.study, canonical(case.to_json())) for i, case in enumerate(cases)],
            )
        return cls(path, connection, redactor)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """An existing ledger."""
        if not path.is_file():
            raise UserError(f"{path}: no ledger", expected="the folder of a run", remedy="check the run id")
        with _damage_named(path):
            connection = _connect(path)
            ledger = cls(path, connection)
            facts = ledger.facts()
            version = facts.get("schema_version")
            if facts.get("redacted"):
                ledger._redactor = Redactor.of_this_machine().heard_in(facts)
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path}: cannot read this ledger",
                expected=f"schema version {SCHEMA_VERSION}",
                got=str(version),
                remedy="read it with the version of rnn-harness that wrote it",
            )
        return ledger

    def facts(self) -> dict[str, Any]:
        """What is recorded of the run as a whole, by name."""
        with _damage_named(self.path):
            rows = self._connection.execute("SELECT name, value FROM run").fetchall()
        return {name: json.loads(value) for name, value in rows}

    def set_fact(self, name: str, value: Any) -> None:
        """Record, or replace, one fact of the run."""
        if self._redactor is not None:
            value = self._redactor(value)
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (name, canonical(value)))

    def entries(self, study: str | None = None) -> Iterator[Entry]:
        """Every planned case, in the plan's order, with its outcome."""
        query = (
            "SELECT definition, outcome, elapsed_seconds FROM cases LEFT JOIN outcomes USING (key) "
            "WHERE (? IS NULL OR study = ?) ORDER BY ordinal"
        )
        with _damage_named(self.path):
            for definition, outcome, elapsed in self._connection.execute(query, (study, study)):
                yield Entry(
                    Case.from_json(json.loads(definition)),
                    None if outcome is None else outcomes.from_json(json.loads(outcome)),
                    elapsed,
                )

    def finished_keys(self) -> set[str]:
        """Keys of the cases that have ended."""
        with _damage_named(self.path):
            return {key for (key,) in self._connection.execute("SELECT key FROM outcomes")}

    def counts(self) -> dict[str, int]:
        """How many cases ended how, and how many are `open`."""
        query = (
            "SELECT coalesce(status, 'open'), count(*) FROM cases LEFT JOIN outcomes USING (key) GROUP BY 1"
        )
        with _damage_named(self.path):
            return dict(self._connection.execute(query).fetchall())

    def record(self, case: Case, outcome: Outcome, *, finished_at: float, elapsed_seconds: float) -> None:
        """Acknowledge a finished case: on return it is on the disk.

        Raises:
            sqlite3.IntegrityError: the case was recorded before, or was never planned.
            sqlite3.OperationalError: the disk is full, or the folder is gone.
        """
        if self._redactor is not None:
            outcome = self._redactor.outcome(outcome)
        row = (case.key, outcome.status, json.dumps(outcomes.to_json(outcome)), finished_at, elapsed_seconds)
        with self._connection:
            self._connection.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what SQLite and JSON say of a damaged file into one clear line."""
    try:
        yield
    except (sqlite3.DatabaseError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: cannot read the ledger ({error})", remedy="restore it from a copy, or start a new run"
        ) from error
