"""Numbers and settings as people read them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (9.999, "10.0"),
        (1234.5, "1,234"),
        (0.0123, "0.0123"),
        (0.0009, "9.00·10⁻⁴"),
        (1.5e-8, "1.50·10⁻⁸"),
        (-2.5, "−2.50"),
        (-2.5e-9, "−2.50·10⁻⁹"),
        (3e9, "3.00·10⁹"),
        (math.inf, "∞"),
        (math.nan, "n/a"),
    ],
)
def test_significant(value: float, text: str) -> None:
    assert words.significant(value) == text


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (0.0, "1.00"),
        (-1.5, "0.0316"),
        (-40.3, "10⁻⁴⁰"),
        (12.0, "10¹²"),
        (-math.inf, "0"),
        (math.nan, "n/a"),
    ],
)
def test_power_of_ten_holds_numbers_that_no_float_holds(log10: float, text: str) -> None:
    assert words.power_of_ten(log10) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(12.3, "12×"), (2.345, "2.3×"), (0.45, "0.45×"), (1 / 340, "0.0029×"), (340, "340×")]
)
def test_times(ratio: float, text: str) -> None:
    assert words.times(ratio) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (812, "812 B"), (1024, "1.00 KiB"), (3.5 * 2**20, "3.50 MiB")]
)
def test_size(count: float, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.50 s"), (41.2, "41 s"), (59.7, "1 min 0 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_what_is_missing_is_never_a_zero() -> None:
    for say in (words.milliseconds, words.mebibytes, words.size, words.times, words.duration):
        assert say(math.nan) == "n/a"


def test_setting_names_sizes_by_their_letter_and_leaves_out_what_is_absent() -> None:
    axes = {"cell": "lstm", "seq_len": 64, "gain": 1.5, "forget_bias": None, "inputs": "text"}
    assert words.setting(axes) == "lstm, T=64, gain 1.5, text inputs"


def test_listed() -> None:
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([]) == ""


def test_split_constant() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "x"], "c": [None, None], "d": [None, 1.0]})
    varying, constant = words.split_constant(frame, ["a", "b", "c", "d"])
    assert varying == ["a", "d"]
    assert constant == {"b": "x"}
