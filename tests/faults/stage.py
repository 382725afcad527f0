"""Where faults are brought about: plans of the faulty study, runs of them, and what is left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

from harness.folder import LEDGER
from harness.ledger import Ledger
from harness.outcome import Failed, Measured, Outcome
from tests.harness.command import FAULTY, ROOT, only_run

PATIENCE_SECONDS = 280.0

Seen = tuple[dict[str, Outcome], subprocess.CompletedProcess[str]]
"""How each case ended, and what the run said."""

HANGS = ("hang", "hang_deaf", "hang_with_children")
WORKER_FAULTS = (
    *("raise", "no_memory", "segfault", "exit", "killed", "out_of_memory_kill"),
    *("garbage", "wrong_shape", "answer_another", "gigabytes", "print_without_end"),
)


class Stage:
    """A folder for the runs of the suite.

    Args:
        folder: empty; everything goes there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new(self, name: str) -> Path:
        """A results folder of its own."""
        return self.folder / name

    def plan(
        self,
        name: str,
        *,
        study: str = "faulty",
        how: tuple[str, ...] = ("well",),
        timeout_seconds: float = 240.0,
        **settings,
    ) -> Path:
        """A plan file: the faulty study's `how`, each beside cases that end well."""
        numbers = settings.pop("numbers", 3)
        path = self.folder / f"{name}.toml"
        lines = [
            f'name = "{name}"',
            "replicates = 1",
            f"timeout_seconds = {timeout_seconds:g}",
            "num_threads = 1",
            f"[studies.{study}]",
        ]
        lines += ['backend = ["numpy"]', f"how = {list(how)}", f"number = {list(range(numbers))}"]
        path.write_text("\n".join([*lines, *(f"{k} = {v}" for k, v in settings.items())]) + "\n")
        return path

    def start(self, *arguments: str | Path, limit: int | None = None, **environment: str) -> subprocess.Popen:
        """`run_all.py …` in a process of its own.

        Args:
            limit: no file that it writes may grow beyond so many bytes.
        """

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver", "cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}", **environment},
            preexec_fn=prepare,
        )

    def run(self, *arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
        """The same, waited for; whatever it was, no traceback."""
        return self.finish(self.start(*arguments, **options))

    def finish(self, process: subprocess.Popen) -> subprocess.CompletedProcess[str]:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def whole(self, results: Path, **settings) -> Path:
        """A run that ended well; its folder."""
        done = self.run("--plan", self.plan(results.name, **settings), "--results", results)
        assert done.returncode == 0, done.stderr
        return only_run(results)

    @cached_property
    def worker_faults(self) -> Seen:
        """One run with every fault of a worker but the hangs, each beside a case that ends well."""
        counter = self.folder / "memory.events"
        counter.write_text("oom 0\noom_kill 0\n")
        return self._faults("workers", WORKER_FAULTS, 240.0, FAULT_OOM_COUNTER=str(counter))

    @cached_property
    def worker_hangs(self) -> Seen:
        """One run with every hang."""
        return self._faults("hangs", HANGS, 4.0, FAULT_CHILDREN=str(self.children))

    @property
    def children(self) -> Path:
        """Where the case that starts processes writes down their numbers."""
        return self.folder / "children"

    def _faults(self, name: str, faults: tuple[str, ...], timeout_seconds: float, **environment: str) -> Seen:
        plan = self.plan(name, how=("well", *faults), numbers=1, timeout_seconds=timeout_seconds)
        results = self.new(name)
        done = self.run("--plan", plan, "--results", results, **environment)
        return {str(e.case.axes["how"]): e.outcome for e in entries(only_run(results))}, done


def entries(folder: Path) -> list:
    """Every planned case with its outcome."""
    with Ledger.open(folder / LEDGER) as ledger:
        return list(ledger.entries())


def rows(folder: Path) -> dict[str, Outcome]:
    """Every recorded row."""
    return {e.case.key: e.outcome for e in entries(folder) if e.outcome is not None}


def described(outcome: Outcome | None) -> str:
    """As the matrix shows it."""
    match outcome:
        case None:
            return "open"
        case Failed(reason):
            return f"failed: {reason.splitlines()[0]}"
        case Measured():
            return "measured"
        case other:
            return f"unsupported: {other.reason}"


def wait_for_rows(results: Path, count: int, process: subprocess.Popen) -> Path:
    """Until so many rows are recorded; the run's folder."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = list(results.glob(f"[0-9]*/{LEDGER}"))
        if found and len(rows(found[0].parent)) >= count:
            return found[0].parent
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    """No such process is alive any more (a zombie is not)."""
    import psutil

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = []
        for pid in pids:
            try:
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    alive.append(pid)
            except psutil.NoSuchProcess:
                continue
        if not alive:
            return True
        time.sleep(0.02)
    return False
