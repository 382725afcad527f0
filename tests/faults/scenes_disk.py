"""What happens to the disk: no room, damage, another program's file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from harness.folder import LEDGER
from harness.ledger import Ledger
from tests.faults.fault import Ending, alike, fault
from tests.faults.scenes_run import begun
from tests.faults.stage import Stage, described, entries, rows
from tests.harness.command import only_run

LIMIT = 400_000
"""Bytes of a file: a new ledger fits, one with a few padded rows does not."""


@fault("a full disk while recording", "no file may grow (`RLIMIT_FSIZE`) beyond what a few rows need")
def full_disk(stage: Stage) -> Ending:
    results = stage.new("full")
    plan = stage.plan("full", numbers=12, padding=60_000)
    done = stage.run("--plan", plan, "--results", results, limit=LIMIT)
    return _and_room_again(stage, only_run(results), done, 12)


@fault("SQLite finds the disk full", "`PRAGMA max_page_count`")
def full_ledger(stage: Stage) -> Ending:
    results = stage.new("pages")
    plan = stage.plan("pages", numbers=12, padding=60_000)
    done = stage.run("--plan", plan, "--results", results, FAULT_PAGES="60")
    return _and_room_again(stage, only_run(results), done, 12)


def _and_room_again(stage: Stage, folder: Path, done, planned: int) -> Ending:
    before = rows(folder)
    assert 0 < len(before) < planned
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    again = stage.run("--resume", folder)
    assert again.returncode == 0, again.stderr
    after = rows(folder)
    assert len(after) == planned
    assert {key: after[key] for key in before} == before
    return Ending(
        done.returncode,
        described(None),
        alike(done.stderr.strip()),
        "every recorded row; --resume completes the run when there is room",
    )


@fault("a full disk while the report is written", "no file may grow beyond 100 kB (`RLIMIT_FSIZE`)")
def full_disk_report(stage: Stage) -> Ending:
    folder = stage.whole(stage.new("reported"), padding=60_000)
    before = _content(folder)
    done = stage.run("--resume", folder, limit=100_000)  # more than SQLite needs to read, less than a table
    assert _content(folder) == before
    assert not list(folder.glob(".report-*"))
    return Ending(done.returncode, "measured", alike(done.stderr.strip()), "every row; the old report, whole")


def _content(folder: Path) -> dict[str, str]:
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".html", ".md", ".csv", ".svg")
    ]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _damaged(stage: Stage, name: str, damage: Callable[[Path], None]) -> Ending:
    folder = begun(stage, name)
    damage(folder / LEDGER)
    before = (folder / LEDGER).read_bytes()
    done = stage.run("--resume", folder)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert (folder / LEDGER).read_bytes() == before
    return Ending(done.returncode, "not read", alike(done.stderr.strip()), "the file, as it was found")


@fault("a ledger cut short", "the second half of the file removed")
def truncated_ledger(stage: Stage) -> Ending:
    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return _damaged(stage, "truncated", cut)


@fault("a ledger of garbage", "the file replaced by text")
def garbage_ledger(stage: Stage) -> Ending:
    return _damaged(stage, "rubbish", lambda path: path.write_bytes(b"no ledger\n" * 500))


@fault("a flipped byte in a number", "one digit of an outcome changed in the file")
def flipped_byte(stage: Stage) -> Ending:
    def flip(path: Path) -> None:
        data = path.read_bytes()
        assert data.count(b'"columns": {"i": [1]}') == 1
        path.write_bytes(data.replace(b'"columns": {"i": [1]}', b'"columns": {"i": [7]}'))

    return _damaged(stage, "flipped", flip)


@fault("a ledger of another schema", "`schema_version` set to 99")
def other_schema(stage: Stage) -> Ending:
    def change(path: Path) -> None:
        with Ledger.open(path) as ledger:
            ledger.set_fact("schema_version", 99)

    return _damaged(stage, "schema", change)


@fault("foreign JSON in a row", "an outcome replaced by a list, its digest not")
def foreign_json(stage: Stage) -> Ending:
    return _damaged(stage, "foreign", lambda path: _sql(path, "UPDATE outcomes SET outcome='[1, 2]'"))


def _sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@fault("a damaged plan file", "an unclosed bracket in the TOML")
def damaged_plan(stage: Stage) -> Ending:
    plan = stage.plan("unclosed")
    plan.write_text(plan.read_text() + "x = [1,\n")
    done = stage.run("--plan", plan, "--results", stage.new("unclosed"))
    assert not stage.new("unclosed").exists()
    return Ending(done.returncode, "none", alike(done.stderr.strip()), "nothing was written")


@fault("a plan that the ledger lost", "the plan in the ledger names a study that is not installed")
def foreign_plan(stage: Stage) -> Ending:
    folder = begun(stage, "uninstalled")
    with Ledger.open(folder / LEDGER) as ledger:
        plan = ledger.facts()["plan"]
        ledger.set_fact("plan", {**plan, "studies": {"faultless": plan["studies"]["faulty"]}})
    done = stage.run("--resume", folder)
    line = alike(done.stderr.strip()).split(" (known:")[0]
    assert len(rows(folder)) == 1
    assert len(entries(folder)) == 3
    return Ending(done.returncode, described(None), f"{line} (known: …", "every row")
