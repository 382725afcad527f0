"""Text from outside, made fit to be shown on one line: no control character reaches a terminal or a file."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""C0 and C1 controls (escape sequences begin with one), line ends, and what turns the direction."""


def one_line(text: Any) -> str:
    """Controls become a space, and a lone half of a surrogate pair, which no encoding can write, a `?`."""
    return _CONTROL.sub(" ", printable(str(text))).strip()


def printable(text: str) -> str:
    """The text with every lone surrogate replaced: it can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
