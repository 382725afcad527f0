"""The self-test finds a harness that measures or judges wrongly, and does not blame it for a busy machine."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.executor import blocks
from harness.folder import create_run
from harness.plan_file import load_plan
from harness.report.frames import Run
from harness.report.simulation import Spread
from harness.report.summaries.speedups import speedups
from harness.report.summaries.throughput import throughput
from harness.selftest import clock, judging, known, table, twins
from harness.selftest.row import Row


def named(rows: Iterator[Row] | list[Row], word: str) -> Row:
    (found,) = [row for row in rows if word in row.name]
    return found


def test_the_clock_is_fit() -> None:
    assert [row.verdict for row in clock.rows(quick=True)] == ["pass"] * 3


def test_known_answers_that_no_load_can_touch_come_out() -> None:
    rows = list(known.rows(quick=True))
    assert named(rows, "adds to a kernel").verdict == "pass"
    assert named(rows, "allocates 100 MiB").verdict == "pass"


def test_a_measurement_that_forgets_time_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.perf_counter
    slow = known.Kernel.__call__

    def lingering(self: known.Kernel) -> None:
        slow(self)
        end = real() + 5e-5  # 5 % of a millisecond that the kernel does not know of
        while real() < end:
            pass

    monkeypatch.setattr(known.Kernel, "__call__", lingering)
    assert named(list(known.rows(quick=True)), "adds to a kernel").verdict == "fail"


def test_what_is_simulated_at_the_usual_spread_holds() -> None:
    rows = list(judging._simulated(judging.USUAL, "usual", quick=True, why_not=None))
    assert [row.verdict for row in rows] == ["pass"] * 7


def test_power_fails_where_the_spread_is_too_wide() -> None:
    rows = list(judging._simulated(Spread(0.3, 0.3, 0.01), "measured", quick=True, why_not=None))
    assert named(rows, "power").verdict == "fail"


def test_a_row_that_could_not_be_judged_is_no_failure_and_no_success() -> None:
    assert Row("g", "n", "t", "g", good=True, why_not="load").verdict == "not judged"
    assert Row("g", "n", "t", "g", good=False, why_not="load").verdict == "not judged"
    assert Row("g", "n", "t", "g", good=False).verdict == "fail"


def test_twins_run_through_the_whole_harness(tmp_path: Path) -> None:
    run = twins.run_twins(tmp_path, twins.Size((30,), ("rnn_tanh",), 2), seed=0)
    timed, between = throughput(run), speedups(run)
    assert timed is not None
    assert between is not None
    assert sorted(timed.frame["backend"]) == ["first", "second", "slower"]
    assert set(timed.frame["processes"]) == {2}
    measured = run.measured("throughput")
    assert set(measured["seq_len"]) == {30}
    # the three took turns: in each comparison they share rounds, and with nobody else
    turns = measured.groupby(["replicate", "cell", "seq_len"])["together"].unique()
    assert all(len(names) == 1 for names in turns)
    assert turns.str[0].is_unique
    assert measured.groupby("key")["round"].nunique().min() >= 5
    # the slower one has really done a tenth more
    assert measured.groupby("backend")["steps"].first().to_dict() == {
        "first": 30 * 4,
        "second": 30 * 4,
        "slower": 33 * 4,
    }


def test_backends_of_a_block_come_in_random_order() -> None:
    """Each backend leads about as often as any other; a fixed order would let drift favour one of them."""
    cases = [case for case in load_plan("quick").cases() if case.study == "throughput"]
    names = {case.backend for case in cases}
    found = list(blocks(cases, seed=0))
    assert all({case.backend for case in block} == names for block in found)
    for place in range(len(names)):
        counts = Counter(block[place].backend for block in found)
        expected = len(found) / len(names)
        assert set(counts) == names
        assert max(abs(count - expected) for count in counts.values()) < 4.5 * expected**0.5, place
    orders = {tuple(case.backend for case in block) for block in found}
    assert len(orders) > 30


def test_replicates_of_one_comparison_are_never_next_to_each_other() -> None:
    """One replicate after the other, so that a busy minute hits one of them and not all."""
    cases = [case for case in load_plan("quick").cases() if case.study == "throughput"]
    replicates = [block[0].replicate for block in blocks(cases, seed=0)]
    assert [key for key, _ in itertools.groupby(replicates)] == [0, 1, 2]


def test_the_table_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row("clock", "a | b", "≤ 1", "[0]", True), Row("clock", "<b>", "≤ 1", "2", False, "load")]
    monkeypatch.setattr(table, "rows", lambda quick: iter(rows))
    files = {"json_file": tmp_path / "found.json", "markdown_file": tmp_path / "found.md"}
    assert table.run_selftest(quick=True, **files) == 0
    assert "2 rows: 1 pass, 1 not judged" in capsys.readouterr().out
    data = json.loads(files["json_file"].read_text())
    assert [row["verdict"] for row in data["rows"]] == ["pass", "not judged"]
    assert "| a \\| b | ≤ 1 | [0] | pass |" in files["markdown_file"].read_text()
    rows.append(Row("clock", "c", "≤ 1", "2", False))
    assert table.run_selftest(quick=True, json_file=None, markdown_file=None) == 1


def test_a_file_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot write"):
        table.run_selftest(quick=True, json_file=blocked / "found.json", markdown_file=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"rows": []}', {"rows": []}),
        ("[1]", None),
        ("{", None),
        ("\xff", None),
        ('{"a": "' + "x" * 2**20, None),
    ],
)
def test_a_run_records_the_self_test_that_stands_beside_it(
    tmp_path: Path, text: str, expected: object
) -> None:
    (tmp_path / "selftest.json").write_text(text, encoding="latin-1")
    folder = create_run(tmp_path, load_plan("quick"), {}, "python run_all.py")
    assert Run.read(folder).facts["selftest"] == expected


def test_a_run_without_a_self_test_records_none(tmp_path: Path) -> None:
    folder = create_run(tmp_path, load_plan("quick"), {}, "python run_all.py")
    assert Run.read(folder).facts["selftest"] is None
