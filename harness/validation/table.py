"""The table of rows as a person reads it: one line each, in sections, failures once more at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console

from harness.errors import UserError
from harness.validation.execution import Skipped, chosen_backends, validate
from harness.validation.row import Row
from implementations.registry import UnknownName

NAME_WIDTH = 74


def run_validation(backends: Iterable[str]) -> int:
    """Print every row of the engine and of these backends; the exit status.

    Where none is named, all are checked but those that compile at every shape.

    Raises:
        UserError: no such backend.
    """
    try:
        named = list(backends)
        chosen_backends(named)
    except UnknownName as error:
        raise UserError(str(error)) from error
    return print_rows(validate(named), Console())


def print_rows(rows: Iterable[Row | Skipped], console: Console) -> int:
    """Print rows as they come, what was skipped, failures again, and counts; 1 where a row failed, else 0."""
    started = time.perf_counter()
    section, count = "", 0
    failures: list[Row] = []
    skipped: list[Skipped] = []
    _print(console, f"{'':5} {'':{NAME_WIDTH}} {'expected':>18} {'got':>18} {'error':>8} {'tolerance':>9}")
    for row in rows:
        if isinstance(row, Skipped):
            skipped.append(row)
            continue
        title = f"{row.group}: {row.subject}"
        if title != section:
            _print(console, title, "bold")
            section = title
        _print(console, line(row), None if row.passed else "red")
        count += 1
        failures += [] if row.passed else [row]
    for title, lines in (
        ("skipped", [f"      {skip.subject}: {skip.reason}" for skip in skipped]),
        ("failed", [f"{line(row)}  [{row.group}: {row.subject}]" for row in failures]),
    ):
        if lines:
            _print(console, title, "bold")
        for text in lines:
            _print(console, text)
    seconds = time.perf_counter() - started
    counts = f"{count} rows: {count - len(failures)} ok, {len(failures)} failed; {len(skipped)} skipped"
    _print(console, f"{counts}; {seconds:.1f} s", "red" if failures else "green")
    return 1 if failures else 0


def line(row: Row) -> str:
    """Verdict, name, expected, got, error, tolerance in columns; a note where there are no numbers."""
    start = f"{'ok' if row.passed else 'FAIL':5} {row.name:{NAME_WIDTH}}"
    if row.note:
        return f"{start} {row.note}"
    expected = f"{'<= ' if row.relation == '<=' else ''}{row.expected:.10g}"
    return f"{start} {expected:>18} {row.got:>18.10g} {row.error:>8.1e} {row.tolerance:>9.1e}"


def _print(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
