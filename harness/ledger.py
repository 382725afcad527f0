"""The record of one run: an SQLite file with every planned case and how it ended.

One transaction per finished case, in WAL mode with `synchronous=FULL`: a case that was acknowledged
survives a kill of the process or the machine.  The run's plan and environment stand in it too, so that a
report needs nothing else.

Every row carries a digest of itself, a case its key: a byte that flipped on the disk is damage that is
named, never a number that is believed.
"""

from __future__ import annotations

import hashlib
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

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cases (
    key TEXT PRIMARY KEY, ordinal INTEGER NOT NULL UNIQUE, study TEXT NOT NULL, definition TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY REFERENCES cases (key), status TEXT NOT NULL, outcome TEXT NOT NULL,
    finished_at REAL NOT NULL, elapsed_seconds REAL NOT NULL, digest TEXT NOT NULL
);
"""
_FACT_TYPES: dict[str, Any] = {
    "run_id": str,
    "command": (str, type(None)),  # of an imported run it is not known
    "plan": dict,
    "environment": dict,
    "machines": dict,
    "started_at": (int, float),
}


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
        known = {"schema_version": SCHEMA_VERSION, **facts}
        planned = [(case.key, i, case.study, canonical(case.to_json())) for i, case in enumerate(cases)]
        with _refusal_named(path):
            connection = _connect(path)
            try:
                with connection:
                    connection.executescript(f"BEGIN; {_SCHEMA}")
                    connection.executemany(
                        "INSERT INTO run VALUES (?, ?, ?)", [_fact_row(*fact) for fact in known.items()]
                    )
                    connection.executemany("INSERT INTO cases VALUES (?, ?, ?, ?)", planned)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, redactor)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """An existing ledger."""
        if not path.is_file():
            raise UserError(f"{path}: no ledger", expected="the folder of a run", remedy="check the run id")
        if path.stat().st_size == 0:  # SQLite would take it for a new database, and write into it
            raise UserError(
                f"{path}: is empty",
                expected="the ledger of a run",
                remedy="restore it from a copy, or start a new run",
            )
        with _damage_named(path):
            connection = _connect(path)
            try:
                _bring_up_to_date(connection)
                ledger = cls(path, connection)
                facts = ledger.facts()
                version = facts.get("schema_version")
                if version != SCHEMA_VERSION:
                    raise UserError(
                        f"{path}: cannot read this ledger",
                        expected=f"schema version {SCHEMA_VERSION}",
                        got=str(version)[:80],
                        remedy="read it with the version of rnn-harness that wrote it",
                    )
                _require_whole(connection)
                if facts.get("redacted"):
                    ledger._redactor = Redactor.of_this_machine().heard_in(facts)
            except BaseException:
                connection.close()
                raise
        return ledger

    def facts(self) -> dict[str, Any]:
        """What is recorded of the run as a whole, by name."""
        found = {}
        with _damage_named(self.path):
            for name, value, digest in self._connection.execute("SELECT name, value, digest FROM run"):
                _require_digest(digest, name, value)
                found[name] = json.loads(value)
                if not isinstance(found[name], _FACT_TYPES.get(name, object)):
                    raise ValueError(f"the run's {name} is of the wrong kind")
        return found

    def set_fact(self, name: str, value: Any) -> None:
        """Record, or replace, one fact of the run.

        Raises:
            UserError: it cannot be written (a full disk).
        """
        if self._redactor is not None:
            value = self._redactor(value)
        with _refusal_named(self.path), self._connection:
            self._connection.execute("INSERT OR REPLACE INTO run VALUES (?, ?, ?)", _fact_row(name, value))

    def entries(self, study: str | None = None) -> Iterator[Entry]:
        """Every planned case, in the plan's order, with its outcome."""
        query = (
            "SELECT cases.key, study, definition, outcomes.key, status, outcome, finished_at, "
            "elapsed_seconds, digest FROM cases LEFT JOIN outcomes USING (key) "
            "WHERE (? IS NULL OR study = ?) ORDER BY ordinal"
        )
        with _damage_named(self.path):
            for key, named, definition, *row in self._connection.execute(query, (study, study)):
                case = Case.from_json(json.loads(definition))
                if (case.key, case.study) != (key, named):
                    raise ValueError(f"case {key} is not what it was")
                yield Entry(case, *((None, None) if row[0] is None else _read_outcome(*row)))

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
            UserError: it cannot be written (a full disk, the folder is gone); nothing of it is kept.
        """
        if self._redactor is not None:
            outcome = self._redactor.outcome(outcome)
        row = (case.key, outcome.status, json.dumps(outcomes.to_json(outcome)), finished_at, elapsed_seconds)
        with _refusal_named(self.path), self._connection:
            self._connection.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", (*row, _digest(*row)))

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


def _digest(*row: Any) -> str:
    return hashlib.sha256(canonical(row).encode()).hexdigest()[:16]


def _fact_row(name: str, value: Any) -> tuple[str, str, str]:
    text = canonical(value)
    return name, text, _digest(name, text)


def _require_digest(digest: Any, *row: Any) -> None:
    if digest != _digest(*row):
        raise ValueError(f"the row of {str(row[0])[:80]} is not what was written")


def _read_outcome(key: str, status: str, text: str, finished: float, elapsed: float, digest: str) -> Any:
    _require_digest(digest, key, status, text, finished, elapsed)
    outcome = outcomes.from_json(json.loads(text))
    if outcome.status != status:
        raise ValueError(f"the row of {key} says two things of how it ended")
    return outcome, elapsed


def _require_whole(connection: sqlite3.Connection) -> None:
    """The file's own structure: pages, indices, and no outcome without its case."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(verdict)
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise ValueError("an outcome belongs to no planned case")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Give the rows of a ledger of version 1, which had no digests, theirs; in one transaction."""
    if connection.execute("SELECT value FROM run WHERE name = 'schema_version'").fetchone() != ("1",):
        return
    connection.create_function("digest", -1, _digest, deterministic=True)
    connection.executescript(
        f"""
        BEGIN IMMEDIATE;
        ALTER TABLE run ADD COLUMN digest TEXT NOT NULL DEFAULT '';
        ALTER TABLE outcomes ADD COLUMN digest TEXT NOT NULL DEFAULT '';
        UPDATE run SET value = '{SCHEMA_VERSION}' WHERE name = 'schema_version';
        UPDATE run SET digest = digest(name, value);
        UPDATE outcomes SET digest = digest(key, status, outcome, finished_at, elapsed_seconds);
        COMMIT;
        """
    )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what SQLite and JSON say of a damaged file into one clear line."""
    try:
        yield
    except sqlite3.OperationalError as error:  # most often not the file, but what it lies on
        raise UserError(
            f"{path}: cannot read the ledger ({error})",
            remedy="see that the disk has room and the folder can be written; else restore it from a copy",
        ) from error
    except (sqlite3.Error, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: cannot read the ledger ({str(error)[:200]})",
            remedy="restore it from a copy, or start a new run",
        ) from error


@contextmanager
def _refusal_named(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a disk that takes no more into one clear line."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"{path}: cannot write the ledger ({error}); what was recorded before is kept",
            remedy="make room, then go on with --resume",
        ) from error
