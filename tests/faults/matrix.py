"""The page on faults: its tables are written from what the suites saw, and held against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.faults.fault import Ending, Fault

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
COLUMNS = ("fault", "how it is injected", "exit status", "row", "what the user reads", "what is kept", "test")


def row(fault: Fault, ending: Ending) -> str:
    """One line of the table."""
    cells = (
        *(fault.name, fault.injected, str(ending.status), ending.row, ending.line or "–", ending.kept),
        f"`{fault.test}`",
    )
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(seen: Mapping[str, tuple[Fault, Ending]]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    return "\n".join([*lines, *(row(fault, ending) for fault, ending in seen.values())])


def committed() -> dict[str, str]:
    """Test's name -> its line, as the page has it."""
    lines = [line for line in section("matrix").splitlines() if line.startswith("| ")][2:]
    return {line.rsplit("[", 1)[1].split("]")[0]: line for line in lines}


def section(name: str) -> str:
    """One of the page's tables (`matrix`, `kills` or `guards`), as the page has it."""
    return _parts(name)[1].strip()


def write(name: str, text: str) -> None:
    """Put a table into its place on the page."""
    before, _, after = _parts(name)
    PAGE.write_text(f"{before}\n\n{text}\n\n{after}", encoding="utf-8")


def _parts(name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}, written by `make faults` -->", f"<!-- end of {name} -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    inside, after = rest.split(end)
    return before + begin, inside, end + after
