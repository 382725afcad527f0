"""Rows compare what they say, and the command prints them and answers with its status."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from harness.cli import main
from harness.validation import Check, Row, Skipped, execution
from harness.validation.row import at_most, close
from harness.validation.table import print_rows
from implementations.contract import Backend, BackendUnavailable
from implementations.registry import load_backend


def test_close_compares_within_its_tolerance() -> None:
    assert close("x", 1.0, 1.0 + 1e-9, 1e-8).passed
    assert not close("x", 1.0, 1.0 + 1e-7, 1e-8).passed
    assert close("x", 1e6, 1e6 + 1e-3, 1e-8, relative=True).passed
    assert not close("x", 1e6, 1e6 + 1.0, 1e-8, relative=True).passed
    assert close("x", 0.0, 0.0, 0.0, relative=True).passed
    assert not close("x", 0.0, 1e-3, 1e-4, relative=True).passed


@pytest.mark.parametrize(
    ("expected", "got", "passed"),
    [
        (-np.inf, -np.inf, True),
        (-np.inf, -300.0, False),
        (-300.0, -np.inf, False),
        (np.inf, -np.inf, False),
        (1.0, np.nan, False),
        (np.nan, np.nan, False),
        ([1.0, 2.0], [1.0], False),
        ([], [], False),
    ],
)
def test_infinities_nan_and_shapes(expected: Any, got: Any, passed: bool) -> None:
    assert close("x", expected, got, 0.5).passed is passed
    assert close("x", expected, got, 0.5, relative=True).passed is passed


def test_the_worst_entry_is_shown() -> None:
    row = close("x", [1.0, 2.0, 3.0], [1.0, 2.5, 3.1], 0.1)
    assert (row.expected, row.got, row.error) == (2.0, 2.5, 0.5)
    row = close("x", [1.0, -7.0, 3.0], [1.0, -7.0, 3.0], 0.1)
    assert (row.expected, row.got, row.error) == (-7.0, -7.0, 0.0)


def test_a_bound_may_be_kept_or_broken() -> None:
    assert at_most("x", [1.0, 2.0], [0.5, -np.inf], slack=0.0).passed
    assert not at_most("x", [1.0, 2.0], [0.5, 2.1], slack=1e-3).passed
    assert not at_most("x", [1.0], [np.nan], slack=1e9).passed
    assert at_most("x", [[1.0], [2.0]], [[0.5, 0.7], [2.0, 2.0]], slack=0.0).passed


def printed(rows: list[Any]) -> tuple[int, list[str]]:
    stream = io.StringIO()
    status = print_rows(iter(rows), Console(file=stream, width=40))
    return status, stream.getvalue().splitlines()


GOOD = Row("w^lag [of 2]", 20959.1556, 20959.15559, 1e-5, 1e-4, group="powers")
BAD = Row("σ", 1.0, 2.0, 1.0, 1e-4, group="spectra", subject="numpy float64")
BOUND = Row("‖P‖", 3.0, 2.5, 0.0, 0.0, relation="<=", group="spectra")
RAISED = Row("det", np.nan, np.nan, np.inf, 0.0, note="ValueError: no", group="spectra")


def test_plain_lines_where_there_is_no_terminal() -> None:
    status, lines = printed([GOOD, BOUND, Skipped("cudnn", "no CUDA device")])
    assert status == 0
    assert lines[1] == "powers: engine"
    assert lines[2].split() == ["ok", "w^lag", "[of", "2]", "20959.1556", "20959.15559", "1.0e-05", "1.0e-04"]
    assert "<= 3" in lines[4]
    assert lines[-2] == "      cudnn: no CUDA device"
    assert lines[-1].startswith("2 rows: 2 ok, 0 failed; 1 skipped; ")
    assert not any("\x1b" in line for line in lines)


def test_failures_come_once_more_at_the_end() -> None:
    status, lines = printed([GOOD, BAD, RAISED])
    assert status == 1
    assert lines[-4] == "failed"
    assert lines[-3].startswith("FAIL  σ")
    assert lines[-3].endswith("[spectra: numpy float64]")
    assert "ValueError: no" in lines[-2]
    assert lines[-1].startswith("3 rows: 1 ok, 2 failed; 0 skipped; ")


def one_check(row: Row, *, of_backends: bool) -> dict[str, Check]:
    return {"x": Check(row.group, lambda *arguments: iter([row]), of_backends)}


@pytest.mark.parametrize(("row", "status"), [(GOOD, 0), (BAD, 1)])
def test_the_commands_status(
    row: Row, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(execution, "CHECKS", one_check(row, of_backends=True))
    with pytest.raises(SystemExit) as end:
        main(["validate", "--backend", "numpy", "--backend", "numpy"])
    assert end.value.code == status
    out = capsys.readouterr().out
    assert out.count(": numpy float64\n") == 1
    assert "numpy bfloat16: no bfloat16 arithmetic in NumPy" in out
    assert "torch" not in out


def test_an_absent_backend_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Backend:
        raise BackendUnavailable(f"{name}: no such device")

    monkeypatch.setattr(execution, "CHECKS", one_check(GOOD, of_backends=False))
    monkeypatch.setattr(execution, "load_backend", load)
    found = list(execution.validate(["numpy"]))
    assert [type(row) for row in found] == [Row, Skipped]
    assert found[1] == Skipped("numpy", "no such device")


def test_a_backend_that_compiles_for_minutes_is_checked_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = load_backend("numpy")
    monkeypatch.setattr(type(backend), "compiles", True)
    monkeypatch.setattr(execution, "CHECKS", one_check(GOOD, of_backends=True))
    monkeypatch.setattr(execution, "BACKENDS", {"numpy": None})
    (skipped,) = execution.validate()
    assert isinstance(skipped, Skipped)
    assert "--backend numpy checks it" in skipped.reason
    assert any(isinstance(row, Row) for row in execution.validate(["numpy"]))


def test_a_wrong_name_is_wrong_use() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "harness", "validate", "--backend", "nunba"], capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: unknown backend 'nunba'; did you mean 'numba'?")
    assert found.stderr.count("\n") == 1
