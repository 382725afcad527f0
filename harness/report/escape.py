"""What comes from outside is text, and stays text: in a spreadsheet, in Markdown, in a file name, in a plot.

HTML is escaped by Jinja2 itself (`autoescape=True`); this module is for everything else.
"""

from __future__ import annotations

import hashlib
import html
import re
import textwrap
from typing import Any

import pandas as pd

from harness.text import one_line

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the beginning of a formula, the full-width forms among it."""
_LABEL_LENGTH = 48
_LABEL_LINES = 3


def spreadsheet_cell(value: Any) -> Any:
    """A string that a spreadsheet would run as a formula gets a leading apostrophe; numbers are kept."""
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_FORMULA):
        return f"'{value}"
    return value


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """Every string of the frame, its column names too, made safe for a spreadsheet."""
    safe = {
        spreadsheet_cell(str(name)): _mapped(column)
        if (column := frame[name]).dtype == object or pd.api.types.is_string_dtype(column)
        else column
        for name in frame.columns
    }
    return pd.DataFrame(safe, columns=list(safe))


def _mapped(column: pd.Series) -> pd.Series:
    unique = {value: spreadsheet_cell(value) for value in column.dropna().unique()}
    if all(unique[value] is value for value in unique):
        return column
    return column.map(unique)


def markdown(text: Any) -> str:
    """Text that Markdown and the HTML within it leave alone, on one line."""
    line = html.escape(one_line(text), quote=False)
    line = re.sub(r"([\\`*|\[\]$~])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def markdown_code(text: Any) -> str:
    """A fenced block of one line, a command."""
    return _fenced(one_line(text), "sh")


def markdown_block(text: Any) -> str:
    """A fenced block of as many lines as the text has, as they are."""
    return _fenced(block(text), "text")


def block(text: Any) -> str:
    """The text line by line, each without controls, what it is indented by kept."""
    return "\n".join(one_line(f"|{line.expandtabs(4)}")[1:] for line in str(text).split("\n"))


def _fenced(text: str, language: str) -> str:
    """The fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def label(text: Any, *, length: int = _LABEL_LENGTH) -> str:
    """A label for a plot: one line, not endless, and never hidden (matplotlib hides a leading `_`)."""
    line = one_line(text)
    if len(line) > length:
        line = line[: length - 1] + "…"
    return f" {line}" if line.startswith("_") else line


def wrapped(text: Any) -> str:
    """A label that may take more lines than one, so that what tells it from others is not cut off with its
    end; not endless either."""
    lines = textwrap.wrap(one_line(text), _LABEL_LENGTH)
    if len(lines) > _LABEL_LINES:
        lines = [*lines[: _LABEL_LINES - 1], f"…{one_line(text)[1 - _LABEL_LENGTH :]}"]
    found = "\n".join(lines)
    return f" {found}" if found.startswith("_") else found


def file_stem(text: str) -> str:
    """A file name of letters, digits, `_` and `-` alone.

    Text that had to change, or is long, gets a digest appended: two names never meet in one file.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    if stem == text and 0 < len(stem) <= 64:
        return stem
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "-".join(part for part in (stem[:48], digest) if part)
