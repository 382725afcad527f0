"""A ledger as tidy frames: every case is there, what was not measured is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.errors import UserError
from harness.outcome import Failed, Measured, Unsupported
from harness.report.frames import Run
from harness.report.tables import write_studies
from tests.report.synthetic import write_run


def run_of(folder: Path, *outcomes: object) -> Run:
    listed = [(Case("s", {"backend": "b", "seq_len": i}), outcome) for i, outcome in enumerate(outcomes)]
    return Run.read(write_run(folder, listed))


def test_one_row_per_observation_with_axes_and_facts(tmp_path: Path) -> None:
    frame = run_of(tmp_path, Measured({"x": [1, 2, 3]}, {"flop": 7})).frame("s")
    assert frame["x"].tolist() == [1, 2, 3]
    assert frame["flop"].tolist() == [7, 7, 7]
    assert frame["backend"].tolist() == ["b"] * 3
    assert frame["status"].unique().tolist() == ["measured"]


def test_a_case_without_a_measurement_is_one_row_without_numbers(tmp_path: Path) -> None:
    outcomes = (Measured({"x": [1.5]}), Unsupported("no device"), Failed("SIGSEGV", "log"), None)
    frame = run_of(tmp_path, *outcomes).frame("s")
    assert frame["status"].tolist() == ["measured", "unsupported", "failed", "open"]
    assert frame["reason"].tolist()[1:] == ["no device", "SIGSEGV", "planned, not yet run"]
    assert frame["x"].isna().tolist() == [False, True, True, True]


def test_an_exact_zero_in_log_form_stays_apart_from_what_is_missing(tmp_path: Path) -> None:
    frame = run_of(tmp_path, Measured({"log10_norm": [-np.inf, None, 0.0]})).frame("s")
    assert np.isneginf(frame["log10_norm"][0])
    assert np.isnan(frame["log10_norm"][1])


def test_a_fact_with_an_axis_name_keeps_both(tmp_path: Path) -> None:
    frame = run_of(tmp_path, Measured({"status": ["fine"]}, {"seq_len": 99})).frame("s")
    assert frame["seq_len"].tolist() == [0]
    assert frame["fact_seq_len"].tolist() == [99]
    assert frame["column_status"].tolist() == ["fine"]


def test_columns_that_only_some_cases_have(tmp_path: Path) -> None:
    frame = run_of(tmp_path, Measured({"x": [1]}), Measured({"y": ["a", "b"]})).frame("s")
    assert len(frame) == 3
    assert frame["x"].isna().tolist() == [False, True, True]


def test_a_text_of_several_lines_is_on_one_in_a_table(tmp_path: Path) -> None:
    """Of a model that speaks in lines, and of a log; numbers beside them stay as they are."""
    said = Measured({"x": [1, 2]}, {"said": "def f():\r\n    return 1\n", "order": 3})
    run = run_of(tmp_path / "run", said, Measured({"x": [3]}, {"said": None}), Failed("SIGSEGV", "a\nb\n"))
    (tmp_path / "tables").mkdir()
    write_studies(run, tmp_path / "tables")
    rows = (tmp_path / "tables" / "s.csv").read_text(encoding="utf-8").split("\n")
    assert len(rows) == 1 + 2 + 1 + 1 + 1
    assert rows[1].endswith(",def f():\\r\\n    return 1\\n,3.0,1.0")
    assert rows[3].endswith(",,,3.0")
    (failed,) = (tmp_path / "tables" / "not_measured.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert "a\\nb\\n" in failed


def test_axes_come_in_the_order_people_name_them(run: Run) -> None:
    assert run.axes("throughput") == [
        *("backend", "cell", "pass", "dtype", "seq_len", "batch_size", "input_size", "hidden_size")
    ]
    assert run.axes("gradient_decay")[-1] == "seed"


def test_counts_add_up_to_the_plan(run: Run) -> None:
    counts = run.counts()
    assert set(counts) == {"measured", "unsupported", "failed", "open"}
    assert sum(counts.values()) == len(run.entries)
    assert counts["open"] == 1


def test_a_study_that_was_not_run_has_no_rows(run: Run) -> None:
    assert run.frame("nothing").empty
    assert run.measured("nothing").empty


def test_a_folder_without_a_ledger_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no ledger"):
        Run.read(tmp_path)
