"""The ledger: every planned case stands in it, each ends once, and damage is named."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from harness.case import Case
from harness.errors import UserError
from harness.ledger import Ledger
from harness.outcome import Failed, Measured, Unsupported

CASES = [Case("throughput", {"backend": b, "seq_len": t}) for b in ("numba", "torch") for t in (1, 2)]


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "ledger.sqlite", {"run_id": "r", "plan": {"name": "p"}}, CASES) as ledger:
        yield ledger


def record(ledger, case, outcome):
    ledger.record(case, outcome, finished_at=1.0, elapsed_seconds=0.5)


def test_outcomes_read_back_as_they_were(ledger):
    outcomes = [
        Measured({"lag": [0, 1], "log10_norm": [0.0, float("-inf")]}, {"flop": 2.0, "method": None}),
        Unsupported("no device"),
        Failed("killed by SIGSEGV", "the end of its log"),
    ]
    for case, outcome in zip(CASES, outcomes, strict=False):
        record(ledger, case, outcome)
    assert [entry.outcome for entry in ledger.entries()] == [*outcomes, None]
    assert [entry.case for entry in ledger.entries()] == CASES
    assert ledger.counts() == {"measured": 1, "unsupported": 1, "failed": 1, "open": 1}
    assert ledger.finished_keys() == {case.key for case in CASES[:3]}


def test_a_case_ends_once(ledger):
    record(ledger, CASES[0], Unsupported("first"))
    with pytest.raises(sqlite3.IntegrityError):
        record(ledger, CASES[0], Unsupported("second"))
    assert next(ledger.entries()).outcome == Unsupported("first")


def test_a_case_that_was_not_planned_cannot_end(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        record(ledger, Case("throughput", {"backend": "numba", "seq_len": 3}), Unsupported("?"))


def test_facts_are_kept_and_replaced(ledger):
    ledger.set_fact("run_id", "s")
    assert ledger.facts() == {"schema_version": 2, "run_id": "s", "plan": {"name": "p"}}


def test_a_second_process_reads_while_the_first_writes(ledger):
    record(ledger, CASES[0], Unsupported("here"))
    with Ledger.open(ledger.path) as reader:
        assert reader.counts()["unsupported"] == 1


@pytest.mark.parametrize("content", [b"", b"not a ledger at all" * 100, b"SQLite format 3\x00" + bytes(4096)])
def test_damage_is_one_line_that_names_the_file(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"ledger\.sqlite") as caught:
        Ledger.open(path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused_and_stays_empty(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.touch()
    with pytest.raises(UserError, match=r"ledger\.sqlite: is empty; .*restore it from a copy"):
        Ledger.open(path)
    assert path.stat().st_size == 0
    assert list(tmp_path.iterdir()) == [path]


def test_another_schema_is_refused(ledger):
    ledger.set_fact("schema_version", 99)
    with pytest.raises(UserError, match="expected schema version 2; got 99"):
        Ledger.open(ledger.path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (10**24, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        ("\ud800", "no Unicode"),
        ([1], "scalars"),
    ],
)
def test_what_would_not_be_read_back_is_no_case_and_no_measurement(value, words):
    with pytest.raises(ValueError, match=f"axis 'x' .*{words}"):
        Case("throughput", {"backend": "numba", "x": value})
    with pytest.raises(ValueError, match=f"column 'x' .*{words}"):
        Measured({"x": [0, value]})
    with pytest.raises(ValueError, match=f"fact 'x' .*{words}"):
        Measured({}, {"x": value})


def test_names_are_written_too():
    with pytest.raises(ValueError, match="no Unicode"):
        Case("throughput", {"backend": "numba", "\ud800": 1})
    with pytest.raises(ValueError, match="no Unicode"):
        Measured({"\ud800": [1]})


def test_a_number_of_numpys_is_read_back_as_pythons(ledger):
    record(ledger, CASES[0], Measured({"x": [np.float64(0.5)]}, {"ok": True}))
    assert next(ledger.entries()).outcome == Measured({"x": [0.5]}, {"ok": True})


@pytest.mark.parametrize(
    "case",
    [("throughput", {"seq_len": 1}), ("throughput", {"backend": 7}), ("throughput", {"backend": "x"}, 2**31)],
)
def test_a_case_has_a_study_a_backend_and_a_replicate(case):
    with pytest.raises(ValueError, match="a case's"):
        Case(*case)


def test_columns_of_different_lengths_are_no_measurement():
    with pytest.raises(ValueError, match="one length"):
        Measured({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="both as a column and as a fact"):
        Measured({"a": [1]}, {"a": 1})
