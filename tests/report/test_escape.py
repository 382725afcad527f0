"""What comes from outside stays text."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.report import escape


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert escape.spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1.5, -3, "lstm", "", None, True])
def test_numbers_and_words_are_kept(value: object) -> None:
    assert escape.spreadsheet_cell(value) is value


def test_a_frame_keeps_its_numbers_and_loses_its_formulas() -> None:
    frame = pd.DataFrame({"=name": ["=1", "ok", None], "x": [-1.0, 2.0, 3.0]})
    safe = escape.spreadsheet(frame)
    assert list(safe) == ["'=name", "x"]
    assert safe["'=name"].tolist()[:2] == ["'=1", "ok"]
    assert safe["x"].tolist() == [-1.0, 2.0, 3.0]


def test_markdown_cells_hold_no_markup() -> None:
    hostile = "a|b\n<img src=x onerror=alert(1)> `c` [d](e) **f** $g$ _h_ rnn_tanh"
    safe = escape.markdown(hostile)
    assert "\n" not in safe
    assert "<" not in safe
    for character in "|`*[]$":
        assert f"\\{character}" in safe
        assert character not in safe.replace(f"\\{character}", "")
    assert "\\_h\\_" in safe
    assert "rnn_tanh" in safe


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert escape.markdown_code("echo ```` x").startswith("`````sh\n")
    assert escape.markdown_code("a\nb").count("\n") == 2


def test_a_text_of_several_lines_stays_as_it_is_but_for_controls() -> None:
    said = "def f(x):\n\treturn ```x\x1b[0m\n    \\ <b>"
    assert escape.markdown_block(said) == ("````text\ndef f(x):\n    return ```x [0m\n    \\ <b>\n````")


def test_a_label_is_one_visible_short_line() -> None:
    assert escape.label("_hidden").startswith(" ")
    assert len(escape.label("x" * 500)) < 60
    assert escape.label("a\nb\u202ec") == "a b c"


def test_a_label_of_several_lines_keeps_its_end_and_is_not_endless() -> None:
    name = "lstm, " * 12 + "steps 800"
    assert escape.wrapped(name).replace("\n", " ") == name
    assert escape.wrapped("_hidden").startswith(" ")
    lines = escape.wrapped("x" * 500 + "the end").split("\n")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 48
    assert lines[-1].startswith("…")
    assert lines[-1].endswith("the end")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "CON<>", "x" * 300, "ü"])
def test_a_file_name_leads_nowhere_else(name: str) -> None:
    stem = escape.file_stem(name)
    assert stem
    assert len(stem) < 80
    assert not set(stem) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_two_names_never_meet_in_one_file() -> None:
    assert escape.file_stem("a/b") != escape.file_stem("a:b")
    assert escape.file_stem("throughput_inference") == "throughput_inference"
