"""Numbers and settings as people read them: ms and MiB, "B=32, H=64", 10⁻²⁰.

A number that is missing becomes "n/a", never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

NOT_AVAILABLE = "n/a"

_SYMBOLS = {"seq_len": "T", "batch_size": "B", "input_size": "I", "hidden_size": "H"}
_BARE = {"cell", "pass", "dtype", "initialization", "rule", "backend", "inputs"}
_SUPERSCRIPTS = str.maketrans("0123456789-−.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻·")


def missing(value: Any) -> bool:
    """None and NaN: a number that could not be had."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def significant(value: float, digits: int = 3) -> str:
    """`digits` significant digits, no exponent between 0.001 and 10⁷."""
    if missing(value):
        return NOT_AVAILABLE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -3 <= exponent < 7:
        mantissa = f"{value:.{digits - 1}e}".split("e")[0]
        return f"{mantissa}·10{superscript(exponent)}".replace("-", "−")
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def known(value: Any, otherwise: str = "–", spoken: Callable[[float], str] = significant) -> str:
    """A number in words, or what stands where there is none."""
    return otherwise if missing(value) or pd.isna(value) else spoken(float(value))


def superscript(exponent: float) -> str:
    """−20 -> ⁻²⁰."""
    return f"{exponent:g}".translate(_SUPERSCRIPTS)


def power_of_ten(log10: float) -> str:
    """A number given by its log10, however far from 1: −1.5 -> "0.0316", −40.3 -> "10⁻⁴⁰"."""
    if missing(log10):
        return NOT_AVAILABLE
    if math.isinf(log10):
        return "0" if log10 < 0 else "∞"
    if -3 <= log10 < 5:
        return significant(10.0**log10)
    return f"10{superscript(round(log10))}"


def milliseconds(seconds: float) -> str:
    return NOT_AVAILABLE if missing(seconds) else significant(seconds * 1e3)


def mebibytes(count: float) -> str:
    return NOT_AVAILABLE if missing(count) else significant(count / 2**20)


def size(count: float) -> str:
    """A number of bytes with the unit that fits: "812 B", "1.20 KiB", "3.50 MiB"."""
    if missing(count):
        return NOT_AVAILABLE
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= scale:
            return f"{significant(count / scale)} {unit}"
    return f"{significant(count) if abs(count) >= 1 else '0'} B"


def times(ratio: float) -> str:
    """A ratio: "12×", "2.3×", "0.45×", "0.0029×"."""
    if missing(ratio):
        return NOT_AVAILABLE
    return f"{significant(ratio, 2)}×"


def percent(share: float) -> str:
    """A share with two digits, three from 100 % on: 0.617 -> "62 %"."""
    return NOT_AVAILABLE if missing(share) else f"{significant(100 * share, 3 if share >= 0.995 else 2)} %"


def duration(seconds: float) -> str:
    """Seconds as "41 s", "3 min 12 s", "2 h 5 min"."""
    if missing(seconds):
        return NOT_AVAILABLE
    if seconds < 10:
        return f"{significant(seconds, 2)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def symbol(axis: str) -> str:
    """The field's letter for a size, any other axis in words."""
    return _SYMBOLS.get(axis, axis.replace("_", " "))


def setting(values: Mapping[str, Any]) -> str:
    """Axes and values as one phrase; what is absent is left out."""
    words = [_axis_value(str(axis), value) for axis, value in values.items() if not missing(value)]
    return ", ".join(words)


def _axis_value(axis: str, value: Any) -> str:
    text = plain(value)
    if axis in _BARE:
        return f"{text} inputs" if axis == "inputs" else text
    if axis in _SYMBOLS:
        return f"{_SYMBOLS[axis]}={text}"
    return f"{symbol(axis)} {text}"


def plain(value: Any) -> str:
    """A scalar without needless digits: 1.0 -> "1"."""
    if missing(value):
        return NOT_AVAILABLE
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 case", "2 cases"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def split_constant(frame: pd.DataFrame, axes: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Axes that vary over the frame, and those that do not, with their value.

    An axis that is absent everywhere is in neither.
    """
    varying: list[str] = []
    constant: dict[str, Any] = {}
    for axis in axes:
        values = pd.unique(frame[axis].map(lambda value: None if missing(value) else value))
        if len(values) > 1:
            varying.append(axis)
        elif len(values) == 1 and not missing(values[0]):
            constant[axis] = values[0]
    return varying, constant


def phrase(*words: str) -> str:
    """The words that are not empty, with commas between."""
    return ", ".join(filter(None, words))
