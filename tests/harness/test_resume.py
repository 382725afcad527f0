"""A killed run loses nothing that was acknowledged, leaves nobody behind, and goes on where it was."""

from __future__ import annotations

import contextlib
import signal
import time

import psutil
import pytest

from harness.folder import create_run
from harness.ledger import Ledger
from harness.outcome import Measured
from harness.plan import checked
from harness.signals import PATIENCE
from tests.harness.command import only_run, run_all, start, write_plan

PLAN = """
name = "kill"
[studies.faulty]
backend = ["numpy", "naive"]
how = ["well"]
number = [1, 2, 3, 4, 5, 6, 7, 8]
pause_seconds = 0.05
"""
"""A study without figures: what is tested is the run around it, not its report."""


@pytest.fixture
def plan(tmp_path):
    return write_plan(tmp_path / "kill.toml", PLAN)


def rows(folder):
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        entries = list(ledger.entries())
    return {e.case.key: e.outcome for e in entries if e.outcome is not None}, len(entries)


def wait_for_rows(results, count, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        ledgers = list(results.glob("[0-9]*/ledger.sqlite"))
        if ledgers and len(rows(ledgers[0].parent)[0]) >= count:
            return
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_kill_leaves_no_orphan_and_resume_completes(tmp_path, plan, count):
    results = tmp_path / "results"
    process = start("--plan", plan, "--results", results)
    wait_for_rows(results, count, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=3)
    assert not alive
    folder = only_run(results)
    before, planned = rows(folder)
    done = run_all("--resume", folder)
    assert done.returncode == 0, done.stderr
    after, _ = rows(folder)
    assert len(after) == planned == 16
    assert {key: after[key] for key in before} == before
    assert all(isinstance(outcome, Measured) for outcome in after.values())


def test_resuming_a_finished_run_changes_nothing(tmp_path, plan):
    results = tmp_path / "results"
    assert run_all("--plan", plan, "--results", results, "--axis", "number=1").returncode == 0
    before, _ = rows(only_run(results))
    done = run_all("--resume", "latest", "--results", results)
    assert done.returncode == 0
    assert rows(only_run(results))[0] == before
    assert done.stdout.strip().splitlines()[-1].endswith("report.html")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--plan", "full"], "got --plan"),
        (["--plan", "quick", "--study", "parity"], "got --plan, --study"),
        (["--corpus", "no-such-file.txt"], "no-such-file.txt"),
        (["--corpus", "no-such-file.txt", "--dry-run"], "no-such-file.txt"),
        (["--corpus", __file__], "--corpus: this run was planned with the Python standard library's text"),
    ],
)
def test_what_would_choose_another_plan_is_refused_beside_resume(tmp_path, option, words):
    parity = {"backend": ["numpy"], "cell": ["lstm"], "seq_len": [2]}
    plan = checked({"name": "small", "studies": {"parity": parity}}, "test")
    folder = create_run(tmp_path / "results", plan, {}, "test")
    done = run_all("--resume", folder, *option)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not rows(folder)[0]


def test_ctrl_c_writes_the_report_and_says_how_to_go_on(tmp_path, plan):
    results = tmp_path / "results"
    process = start("--plan", plan, "--results", results)
    wait_for_rows(results, 3, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    folder = only_run(results)
    assert f"--resume {folder}" in out
    assert (folder / "report.html").is_file()
    assert "Traceback" not in err
    done = run_all("--resume", folder)
    assert done.returncode == 0
    assert len(rows(folder)[0]) == 16


def test_more_ctrl_c_during_the_orderly_end_lose_nothing_of_it(tmp_path, plan):
    results = tmp_path / "results"
    process = start("--plan", plan, "--results", results)
    wait_for_rows(results, 3, process)
    while process.poll() is None:  # in a row, until it has ended
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (process.returncode, err)
    folder = only_run(results)
    assert out.rstrip().splitlines()[-1].endswith(f"--resume {folder}")
    assert (folder / "report.html").is_file()
    assert err.splitlines() == [PATIENCE.strip()]
    done = run_all("--resume", folder)
    assert done.returncode == 0


def test_ctrl_backslash_ends_at_once_what_is_ending_in_order(tmp_path, plan):
    results = tmp_path / "results"
    process = start("--plan", plan, "--results", results)
    wait_for_rows(results, 3, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGQUIT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGQUIT
    assert len(rows(only_run(results))[0]) >= 3


def test_waiting_workers_are_stopped_while_one_is_at_work(tmp_path, plan):
    process = start("--plan", plan, "--results", tmp_path / "results")
    wait_for_rows(tmp_path / "results", 4, process)
    seen = []
    while process.poll() is None and len(seen) < 200:
        first, second = statuses(process.pid), statuses(process.pid)
        if first == second:  # else one of them was just waking, and another falling asleep
            seen.append(first)
        time.sleep(0.005)
    process.kill()
    process.communicate()
    both = [found for found in seen if len(found) == 2]
    assert both
    assert all(psutil.STATUS_STOPPED in found.values() for found in both)


def statuses(pid):
    """Worker -> what the system says it is doing."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for worker in psutil.Process(pid).children():
            if "harness.worker" not in worker.cmdline():
                continue  # the guardian of one
            status = worker.status()
            found[worker.pid] = status if status == psutil.STATUS_STOPPED else "awake"
    return found
