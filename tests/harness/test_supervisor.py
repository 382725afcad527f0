"""A worker's parent holds it within bounds, and nothing that a worker started outlives it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from harness.case import Case
from harness.outcome import Failed, Outcome
from harness.supervisor import MAXIMUM_ANSWER_BYTES, Supervisor
from tests.faults.stage import gone
from tests.harness.command import FAULTY


def outcome_of(how: str, monkeypatch, *, hang_seconds: float) -> Outcome:
    """What becomes of one case of the faulty study."""
    monkeypatch.setenv("PYTHONPATH", str(FAULTY))
    case = Case("faulty", {"backend": "numpy", "how": how, "number": 0, "pause_seconds": 0.0, "padding": 0})
    supervisor = Supervisor("numpy", 1, None)
    try:
        return supervisor.run(case, budget_seconds=0.01, max_seconds=600.0, hang_seconds=hang_seconds)
    finally:
        supervisor.close()


def test_an_answer_beyond_the_cap_is_not_read(monkeypatch):
    outcome = outcome_of("gigabytes", monkeypatch, hang_seconds=600.0)
    assert isinstance(outcome, Failed)
    assert outcome.reason == f"answer above {MAXIMUM_ANSWER_BYTES >> 20} MiB: refused"


def test_nothing_that_a_worker_started_outlives_it(monkeypatch, tmp_path):
    """One child in the worker's group, one that left it; both are gone with the worker."""
    inside, left = children_of_a_hang(monkeypatch, tmp_path / "children")
    try:
        assert gone([inside]), "a process of the worker's group outlived it"
        assert gone([left]), "a process that had left the worker's group outlived it"
    finally:
        for child in (inside, left):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def children_of_a_hang(monkeypatch, path) -> tuple[int, int]:
    """The numbers of both, once a worker that hung with them was ended (a busy machine gets more time)."""
    monkeypatch.setenv("FAULT_CHILDREN", str(path))
    for seconds in (3.0, 12.0, 48.0):
        assert isinstance(outcome_of("hang_with_children", monkeypatch, hang_seconds=seconds), Failed)
        if path.exists() and len(numbers := path.read_text().split()) == 2:
            return int(numbers[0]), int(numbers[1])
    raise RuntimeError("the worker never came to start its children")
