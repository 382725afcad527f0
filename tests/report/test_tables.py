"""A table that is cut shows something of everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.case import Case
from harness.report import build, pages, write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS, Answer
from harness.report.tables import Table, cut
from tests.report.synthetic import sizes, timed, write_run


def grid(*counts: int) -> Table:
    """Rows over axes a, b, …, each in order, and a number that tells all apart."""
    rows: list[tuple[str, ...]] = [()]
    for name, number in zip("abc", counts, strict=False):
        rows = [(*row, f"{name}{i}") for row in rows for i in range(number)]
    return Table((*"abc"[: len(counts)], "x"), tuple((*row, str(i)) for i, row in enumerate(rows)))


def test_what_fits_is_not_cut() -> None:
    table = grid(3, 4)
    assert cut(table, 12) == (table, "")


def test_each_value_of_the_first_column_gets_its_share_and_within_it_of_the_next() -> None:
    shown, which = cut(grid(3, 5, 10), 40)
    assert which == "40 of 150 rows, spread over a and b"
    assert [sum(row[0] == f"a{i}" for row in shown.rows) for i in range(3)] == [14, 13, 13]
    for i in range(3):
        for j in range(5):
            assert sum(row[:2] == (f"a{i}", f"b{j}") for row in shown.rows) in (2, 3)
    numbers = [int(row[-1]) for row in shown.rows]
    assert numbers == sorted(set(numbers))


def test_what_a_small_group_leaves_goes_to_the_others() -> None:
    table = Table(("a", "x"), tuple((name, str(i)) for i, name in enumerate("p" + "q" * 50 + "r" * 3)))
    shown, which = cut(table, 20)
    assert [sum(row[0] == name for row in shown.rows) for name in "pqr"] == [1, 16, 3]
    assert which == "20 of 54 rows, spread over a"


def test_a_column_of_one_value_is_not_named_and_does_not_hinder() -> None:
    table = grid(1, 2, 30)
    assert cut(table, 20)[1] == "20 of 60 rows, spread over b"


def test_more_values_than_rows_are_evenly_spaced_from_first_to_last() -> None:
    shown, which = cut(grid(100), 12)
    assert which == "12 of 100 rows, evenly spread"
    assert [int(row[-1]) for row in shown.rows] == [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    assert cut(grid(100), 1)[0].rows == (("a0", "0"),)


@pytest.mark.parametrize("limit", range(1, 61))
def test_as_many_as_were_asked_for_whatever_the_grid(limit: int) -> None:
    assert len(cut(grid(7, 3, 3), limit)[0].rows) == min(limit, 63)


def test_the_pages_say_how_many_and_where_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "HTML_ROWS", 40)
    listed = [
        (Case("throughput", sizes("numba", cell, seq_len, 1) | {"pass": "inference"}), timed(1.0, seq_len))
        for cell in ("rnn_tanh", "lstm", "gru")
        for seq_len in range(1, 31)
    ]
    folder = write_run(tmp_path / "run", listed)
    html = write_report(folder).read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    said = "40 of 90 rows, spread over cell; all of them: "
    assert f"*{said}`tables/throughput_summary.csv`.*" in markdown
    assert f'{said}<span class="file">tables/throughput_summary.csv</span>.' in html
    for cell, number in (("rnn_tanh", 14), ("lstm", 13), ("gru", 13)):
        assert markdown.count(f"\n| {cell} |") == number


def test_a_table_that_the_summary_does_not_hold_leads_to_the_observations(run: Run, tmp_path: Path) -> None:
    def disturbed(_: Run) -> Answer:
        return Answer("", table=grid(3), summary=pd.DataFrame({"power": [1.0]}), listed=False)

    asked = replace(SECTIONS["certainty"], answer=disturbed)
    section, _ = build._section(run, "certainty", asked, tmp_path)
    assert section.all_rows == section.table_path == "tables/throughput.csv"
