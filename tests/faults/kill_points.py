"""Kill a run at random points, go on with it, and hold what is left against what was acknowledged.

A chain is one run that is killed and gone on with several times, then left to end.  A kill hits the whole
run (the parent, at a random moment, or within a random COMMIT of its ledger) or one of its workers.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.folder import LEDGER, create_run
from harness.ledger import Ledger
from harness.outcome import Failed, Outcome
from harness.plan import Plan
from tests.faults.driver import digest
from tests.harness.command import FAULTY, ROOT

CASES = 120
PLAN = {
    "name": "killed",
    "num_threads": 1,
    "timeout_seconds": 60.0,
    "studies": {
        "faulty": [
            {"backend": ["numpy", "naive"], "how": ["well"], "number": list(range(CASES // 2))}
            | {"pause_seconds": 0.002}
        ]
    },
}
PATIENCE_SECONDS = 280.0
KINDS = {
    "moment": "the run, at a random moment",
    "commit": "the run, within a random COMMIT",
    "worker": "one of its workers, then the run",
}


@dataclass
class Tally:
    """What a chain came to."""

    kills: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    lost: int = 0
    changed: int = 0
    unreadable: int = 0
    duplicates: int = 0
    missing: int = 0
    differing: int = 0
    failed_rows: int = 0

    def add(self, other: Tally) -> None:
        for name, value in vars(other).items():
            if name == "kills":
                for kind, count in value.items():
                    self.kills[kind] = self.kills.get(kind, 0) + count
            else:
                setattr(self, name, getattr(self, name) + value)

    def table(self) -> str:
        """For the page: what does not differ from one such series to the next, when all is well."""
        counts = {
            "kills": sum(self.kills.values()),
            **{f"… of {KINDS[kind]}": count for kind, count in sorted(self.kills.items())},
            "acknowledged rows that were lost": self.lost,
            "acknowledged rows that were changed": self.changed,
            "rows acknowledged twice": self.duplicates,
            "ledgers that could not be read": self.unreadable,
            "cases missing in the end": self.missing,
            "measured rows unlike an uninterrupted run's": self.differing,
        }
        return "\n".join(["| | |", "| --- | ---: |", *(f"| {name} | {n} |" for name, n in counts.items())])


def chain(folder: Path, kinds: list[str], expected: dict[str, Outcome], draw: random.Random) -> Tally:
    """One run, killed once per entry of `kinds` (`moment`, `commit`, `worker`), then left to end."""
    tally = Tally()
    acknowledged: dict[str, str] = {}
    for kind in kinds:
        left = len(expected) - len(acknowledged) - len(kinds)  # some may be recorded that nobody heard of
        rows = draw.randrange(1, 3 * len(expected) // (2 * max(2, len(kinds))))
        printed = _KILLS[kind](folder, draw, max(1, min(left, rows)))
        tally.kills[kind] = tally.kills.get(kind, 0) + 1
        _hold(folder, acknowledged, printed, tally)
    printed = go_on(folder)
    _hold(folder, acknowledged, printed, tally)
    rows = read(folder)
    tally.acknowledged = len(acknowledged)
    tally.missing = len(set(expected) - set(rows))
    failed = {key for key, outcome in rows.items() if isinstance(outcome, Failed)}
    tally.failed_rows = len(failed)
    tally.differing = sum(rows[key] != expected[key] for key in set(rows) & set(expected) - failed)
    return tally


def _hold(folder: Path, acknowledged: dict[str, str], printed: list[tuple[str, str]], tally: Tally) -> None:
    tally.duplicates += sum(key in acknowledged for key, _ in printed)
    tally.duplicates += len(printed) - len(dict(printed))
    acknowledged.update(printed)
    try:
        rows = read(folder)
    except Exception:
        tally.unreadable += 1
        return
    tally.lost += sum(key not in rows for key in acknowledged)
    tally.changed += sum(key in rows and digest(rows[key]) != text for key, text in acknowledged.items())


def read(folder: Path) -> dict[str, Outcome]:
    """Every row that has an outcome."""
    with Ledger.open(folder / LEDGER) as ledger:
        return {e.case.key: e.outcome for e in ledger.entries() if e.outcome is not None}


def create(results: Path) -> Path:
    return create_run(results, Plan.model_validate(PLAN), {}, "python run_all.py")


def launch(folder: Path, **environment: str) -> subprocess.Popen[str]:
    path = f"{FAULTY}{os.pathsep}{ROOT}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.driver", "execute", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def go_on(folder: Path) -> list[tuple[str, str]]:
    """To the end, undisturbed."""
    process = launch(folder)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    return _acknowledged(out.splitlines())


def _acknowledged(lines: list[str]) -> list[tuple[str, str]]:
    words = [line.split() for line in lines if not line.startswith(("begin", "wait"))]
    return [(word[0], word[1]) for word in words if len(word) == 2 and len(word[1]) == 16]


def _at_a_moment(folder: Path, draw: random.Random, rows: int) -> list[tuple[str, str]]:
    """SIGKILL to the run some microseconds after it acknowledged so many rows, or while it starts."""
    process = launch(folder)
    lines = _read_lines(process, 0 if draw.random() < 0.1 else rows)
    time.sleep(draw.uniform(0.0, 0.02))
    return _finish(process, lines)


def _in_a_commit(folder: Path, draw: random.Random, rows: int) -> list[tuple[str, str]]:
    """SIGKILL from within a COMMIT, at a random instruction of SQLite's machine."""
    process = launch(folder, FAULT_KILL_AT=f"{rows} {draw.randrange(0, 4)}")
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL, "it was to die within a COMMIT"
    return _acknowledged(out.splitlines())


def _a_worker(folder: Path, draw: random.Random, rows: int) -> list[tuple[str, str]]:
    """SIGKILL to a random worker, after so many rows; then, a little later, to the run."""
    process = launch(folder)
    lines = _read_lines(process, rows)
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if "harness.worker" in child.cmdline()]
        if workers:
            draw.choice(workers).kill()
    time.sleep(draw.uniform(0.0, 0.1))
    return _finish(process, lines)


_KILLS = {"moment": _at_a_moment, "commit": _in_a_commit, "worker": _a_worker}


def _read_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """What it says until it has acknowledged `count` rows (or ended)."""
    assert process.stdout is not None
    lines: list[str] = []
    while len(_acknowledged(lines)) < count:
        line = process.stdout.readline()
        if not line:
            break
        lines.append(line)
    return lines


def _finish(process: subprocess.Popen[str], lines: list[str]) -> list[tuple[str, str]]:
    workers = []
    with contextlib.suppress(psutil.Error):
        workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL, f"it ended before it was killed: {err}"
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive, f"left behind: {alive}"
    return _acknowledged([*lines, *out.splitlines()])
