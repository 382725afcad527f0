"""Whatever one case does to its worker, that case alone pays, and its row says what happened."""

from __future__ import annotations

import pytest

from harness.ledger import Ledger
from harness.outcome import Failed, Measured, Unsupported
from tests.harness.command import only_run, run_all, write_plan

PLAN = """
name = "faults"
budget_seconds = 0.01
timeout_seconds = 5
max_seconds = 1000
[studies.parity]
backend = ["numpy", "faulty"]
cell = ["rnn_tanh"]
dtype = ["float64"]
seq_len = [2, 113, 114, 115, 116, 117, 118, 3]
hidden_size = [4]
"""


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    done = run_all("--plan", write_plan(folder / "faults.toml", PLAN), "--results", folder / "results")
    assert done.returncode == 1, done.stderr
    with Ledger.open(only_run(folder / "results") / "ledger.sqlite") as ledger:
        return {(e.case.backend, e.case.axes["seq_len"]): e.outcome for e in ledger.entries()}


@pytest.mark.parametrize(
    ("seq_len", "reason"),
    [
        (113, "worker killed by signal SIGSEGV"),
        (114, "no answer within 5 s: ended as hung"),
        (115, "RuntimeError: went wrong on purpose"),
        (116, "worker exited with status 3"),
    ],
)
def test_failed_with_its_reason(entries, seq_len, reason):
    outcome = entries["faulty", seq_len]
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


def test_exception_keeps_its_traceback(entries):
    assert "went wrong on purpose" in entries["faulty", 115].log
    assert "Traceback" in entries["faulty", 115].log


def test_segfault_keeps_the_end_of_its_log(entries):
    assert "Segmentation fault" in entries["faulty", 113].log


def test_wrong_results_are_measured_as_not_agreeing(entries):
    assert entries["faulty", 117].facts["agrees"] is False


def test_unsupported_is_not_failed(entries):
    assert entries["faulty", 118] == Unsupported("lacks this length")


def test_all_the_others_are_measured(entries):
    others = {key: o for key, o in entries.items() if key[0] == "numpy" or key[1] in (2, 3)}
    assert len(others) == 10
    assert all(isinstance(o, Measured) and o.facts["agrees"] for o in others.values())
