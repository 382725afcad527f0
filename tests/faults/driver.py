"""The run's own process, with something wrong in it that only its inside can bring about.

`python -m tests.faults.driver cli ARGUMENT …` is run_all.py; `… execute FOLDER` goes on with a run, prints
each acknowledged row as `KEY DIGEST`, and writes no report.  What is wrong comes by environment variables.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

from harness import ledger, out_of_memory
from harness.case import canonical
from harness.outcome import to_json


def main() -> None:
    for variable, inject in INJECTIONS.items():
        if variable in os.environ:
            inject(os.environ[variable])
    mode, *arguments = sys.argv[1:]
    if mode == "cli":
        from harness.cli import run_all

        run_all(arguments)
    from harness.run import execute

    execute(Path(arguments[0]), Printer())


class Printer:
    """An observer whose word counts: what it printed was acknowledged."""

    def begin(self, total, done):
        print("begin", total, done, flush=True)

    def start(self, case):
        pass

    def wait(self, why):
        print("wait", flush=True)

    def finish(self, case, outcome):
        print(case.key, digest(outcome), flush=True)


def digest(outcome) -> str:
    return hashlib.sha256(canonical(to_json(outcome)).encode()).hexdigest()[:16]


def _wild_clock(seed: str) -> None:
    """The system's time jumps by up to a year, either way, between any two looks at it."""
    draw, honest = random.Random(seed), time.time
    time.time = lambda: honest() + draw.uniform(-3e7, 3e7)


def _counter(path: str) -> None:
    out_of_memory.counters = lambda root=None: [Path(path)]


def _little_room(pages: str) -> None:
    """SQLite finds no more room than so many pages: what it says of a full disk, without filling one."""
    _connecting(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"))


def _kill_at(text: str) -> None:
    """`COMMIT STEP`: kill −9 within that COMMIT of the ledger (from 0): before it, in it, or after it."""
    commit, step = map(int, text.split())
    counter, armed = itertools.count(), [False]

    def traced(statement: str) -> None:
        if statement == "COMMIT" and next(counter) == commit:
            armed[0] = True
            if step == 0:
                _die()

    steps = itertools.count(1)

    def progress() -> int:
        if armed[0] and next(steps) >= step:
            _die()
        return 0

    def prepare(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(traced)
        connection.set_progress_handler(progress, 1)

    _connecting(prepare)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _connecting(prepare) -> None:
    connect = ledger._connect

    def prepared(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        prepare(connection)
        return connection

    ledger._connect = prepared


INJECTIONS = {
    "FAULT_CLOCK": _wild_clock,
    "FAULT_OOM_COUNTER": _counter,
    "FAULT_PAGES": _little_room,
    "FAULT_KILL_AT": _kill_at,
}

if __name__ == "__main__":
    main()
