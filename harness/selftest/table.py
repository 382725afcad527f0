"""The self-test as a table: for the terminal, as JSON, and as a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.errors import UserError
from harness.selftest.row import Row

COLORS = {"pass": "green", "fail": "bold red", "not judged": "yellow"}


def rows(*, quick: bool) -> Iterator[Row]:
    """Every row, as it is got."""
    from harness.selftest import clock, judging, known

    for part in (clock, known, judging):
        yield from part.rows(quick=quick)


def run_selftest(*, quick: bool, json_file: Path | None, markdown_file: Path | None) -> int:
    """Measure, print, write what was asked for; 1 where a row failed, else 0.

    Raises:
        UserError: a file that cannot be written.
    """
    for file in filter(None, (json_file, markdown_file)):
        _write(file, "")  # before a minute is spent
    console = Console()
    with console.status("measuring") as status:
        found = []
        for row in rows(quick=quick):
            found.append(row)
            status.update(f"measuring: {len(found)} rows so far, the last: {row.name}")
    console.print(_table(found))
    if json_file is not None:
        _write(json_file, json.dumps(as_json(found, quick=quick), indent=2, ensure_ascii=False) + "\n")
    if markdown_file is not None:
        _write(markdown_file, as_markdown(found, quick=quick))
    console.print(_counts(found))
    return 1 if any(row.verdict == "fail" for row in found) else 0


def as_json(found: Sequence[Row], *, quick: bool) -> dict[str, Any]:
    """What a run records of the self-test that stands beside it."""
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"made_at": made_at, "quick": quick, "rows": [row.to_json() for row in found]}


def as_markdown(found: Sequence[Row], *, quick: bool) -> str:
    """The page of the documentation."""
    from harness.measure.environment import environment

    machine = environment()
    where = f"{machine['cpu_model']}, {machine['allowed_cores']} cores, Python {machine['python']}"
    command = "python -m harness selftest" + (" --quick" if quick else "")
    lines = [
        "# Self-test",
        "",
        f"Made by `{command} --markdown FILE` on {where}. What is simulated at the usual spread is the same",
        "everywhere; the rest is this machine's. A row is not judged where the machine was not quiet enough.",
        *(line for group, part in _grouped(found) for line in _section(group, part)),
        "",
        _counts(found),
    ]
    return "\n".join(lines) + "\n"


def _grouped(found: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for group in dict.fromkeys(row.group for row in found):
        yield group, [row for row in found if row.group == group]


def _section(group: str, part: Sequence[Row]) -> list[str]:
    body = [f"| {' | '.join(map(_cell, _cells(row)))} |" for row in part]
    return [
        "",
        f"## {group.capitalize()}",
        "",
        "| | target | got | verdict |",
        "| --- | --- | --- | --- |",
        *body,
    ]


def _cells(row: Row) -> tuple[str, ...]:
    verdict = f"{row.verdict}: {row.why_not}" if row.why_not else row.verdict
    return row.name, row.target, row.got, verdict


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _counts(found: Sequence[Row]) -> str:
    numbers = [(word, sum(row.verdict == word for row in found)) for word in COLORS]
    return f"{len(found)} rows: " + ", ".join(f"{number} {word}" for word, number in numbers if number)


def _table(found: Sequence[Row]) -> Table:
    from rich.text import Text

    table = Table("", "target", "got", "verdict")
    for group, part in _grouped(found):
        table.add_section()
        table.add_row(Text(group, style="bold"))
        for row in part:
            *cells, verdict = _cells(row)
            table.add_row(*map(Text, cells), Text(verdict, style=COLORS[row.verdict]))
    return table


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{file}: cannot write: {error.strerror or error}", remedy="choose a writable file"
        ) from error
