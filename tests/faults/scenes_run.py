"""What happens to the run itself: told to end, killed, out of turn, or under a wild clock."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from harness.folder import LEDGER
from harness.lock import OwnedLock
from harness.outcome import Measured
from tests.faults.fault import Ending, alike, fault
from tests.faults.stage import Stage, described, entries, gone, rows, wait_for_rows
from tests.harness.command import only_run


def _told(stage: Stage, number: signal.Signals) -> Ending:
    """Signal a run after its third row; go on with it."""
    results = stage.new(number.name.lower())
    process = stage.start(
        *("--plan", stage.plan(number.name.lower(), numbers=40, pause_seconds=0.05), "--results", results)
    )
    folder = wait_for_rows(results, 3, process)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    done = stage.finish(process)
    assert gone([child.pid for child in started])
    assert (folder / "report.html").is_file()
    before = rows(folder)
    open_ones = [e for e in entries(folder) if e.outcome is None]
    assert before
    assert open_ones
    resume = next(line for line in done.stdout.splitlines() if "--resume" in line)
    assert str(folder) in resume
    again = stage.run("--resume", folder)
    assert again.returncode == 0, again.stderr
    after = rows(folder)
    assert len(after) == 40
    assert {key: after[key] for key in before} == before
    said = next(line for line in done.stdout.splitlines() if line.startswith("interrupted"))
    return Ending(done.returncode, described(None), said, "every row; a report; --resume completes it")


@fault("Ctrl-C", "SIGINT to the run")
def interrupt(stage: Stage) -> Ending:
    return _told(stage, signal.SIGINT)


@fault("a scheduler ends the run", "SIGTERM to the run")
def terminate(stage: Stage) -> Ending:
    return _told(stage, signal.SIGTERM)


@fault("the terminal is gone", "SIGHUP to the run")
def hang_up(stage: Stage) -> Ending:
    return _told(stage, signal.SIGHUP)


@fault("kill −9 of the run, in a case that started processes", "SIGKILL to the run")
def killed_run(stage: Stage) -> Ending:
    results, children = stage.new("killed"), stage.folder / "children-of-killed"
    plan = stage.plan("killed", how=("hang_with_children",), numbers=1, timeout_seconds=600.0)
    process = stage.start("--plan", plan, "--results", results, FAULT_CHILDREN=str(children))
    while not (children.is_file() and len(children.read_text().split()) == 2):
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    inside, left = map(int, children.read_text().split())
    started = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    started.remove(left)
    assert inside in started
    process.kill()
    process.communicate()
    orphaned = not gone(started)
    os.kill(left, signal.SIGKILL)
    assert not orphaned, "a process outlived the run"
    (entry,) = entries(only_run(results))
    return Ending(
        128 - process.returncode,
        described(entry.outcome),
        "",
        "every row; no process but one that had left the worker's group; --resume completes the run",
    )


@fault("two runs at once on one machine", "another run holds the lock on timing, and lets go after a while")
def two_runs(stage: Stage) -> Ending:
    lock = stage.folder / "machine.lock"
    other = OwnedLock(lock, "20250101-120000-other", shared=True)
    assert other.try_acquire()
    results = stage.new("second")
    process = stage.start(
        *("--plan", stage.plan("second", study="faulty_timed"), "--results", results),
        RNN_HARNESS_LOCK=str(lock),
    )
    line = process.stdout.readline()
    assert line.startswith("waiting: "), line
    assert rows(only_run(results)) == {}
    other.release()
    done = stage.finish(process)
    found = rows(only_run(results))
    assert len(found) == 3
    assert all(isinstance(outcome, Measured) for outcome in found.values())
    return Ending(done.returncode, "measured, when its turn came", alike(line.strip()), "every row of both")


@fault("a run that times nothing beside one that does", "another run holds the lock on timing, and keeps it")
def gradient_run_beside(stage: Stage) -> Ending:
    lock = stage.folder / "machine-kept.lock"
    other = OwnedLock(lock, "20250101-120000-other", shared=True)
    assert other.try_acquire()
    done = stage.run(
        *("--plan", stage.plan("beside"), "--results", stage.new("beside")), RNN_HARNESS_LOCK=str(lock)
    )
    other.release()
    assert "waiting" not in done.stdout
    assert len(rows(only_run(stage.new("beside")))) == 3
    return Ending(done.returncode, "measured, at once", "", "every row")


@fault("two writers on one run's folder", "another process holds the run's lock; `--resume`")
def two_writers(stage: Stage) -> Ending:
    folder = begun(stage, "writers")
    before = rows(folder)
    other = OwnedLock(folder / ".lock", folder.name)
    assert other.try_acquire()
    done = stage.run("--resume", folder)
    other.release()
    assert rows(folder) == before
    return Ending(done.returncode, described(None), alike(done.stderr.strip()), "every row")


@fault("a clock that jumps", "the system's time leaps by up to a year, either way, at every look")
def wild_clock(stage: Stage) -> Ending:
    results = stage.new("clock")
    done = stage.run("--plan", stage.plan("clock"), "--results", results, FAULT_CLOCK="1")
    found = entries(only_run(results))
    assert all(isinstance(entry.outcome, Measured) for entry in found)
    assert all(0.0 <= entry.elapsed_seconds < 1e5 for entry in found), "a duration by the wall clock"
    return Ending(done.returncode, "measured", "", "every row; durations by the monotonic clock")


def begun(stage: Stage, name: str) -> Path:
    """A run of which one row is recorded, and the rest open: made by hand, no process needed."""
    from harness.folder import create_run
    from harness.ledger import Ledger
    from harness.plan_file import load_plan

    folder = create_run(stage.new(name), load_plan(str(stage.plan(name))), {}, "python run_all.py")
    with Ledger.open(folder / LEDGER) as ledger:
        case = next(ledger.entries()).case
        ledger.record(case, Measured({"i": [1]}), finished_at=0.0, elapsed_seconds=0.0)
    return folder
