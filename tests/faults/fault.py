"""A fault of the matrix: what is done to a run, and what was seen of its end.

`docs/faults.md` is written from what the suite saw, so that no line of it is anybody's intention.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.stage import Stage


@dataclass(frozen=True)
class Ending:
    """What was seen.

    Args:
        status: the exit status of the command.
        row: how the case that was hit stands in the ledger.
        line: what the user reads of it.
        kept: what was checked to be there afterwards.
    """

    status: int
    row: str
    line: str
    kept: str


@dataclass(frozen=True)
class Fault:
    """One row of the matrix; `scene` brings it about and asserts what is kept."""

    name: str
    injected: str
    scene: Callable[[Stage], Ending]

    @property
    def test(self) -> str:
        return f"test_matrix.py::test_fault[{self.scene.__name__}]"


FAULTS: dict[str, Fault] = {}


def fault(name: str, injected: str) -> Callable[[Callable[[Stage], Ending]], Callable[[Stage], Ending]]:
    """Decorator: enter a scene into the matrix."""

    def enter(scene: Callable[[Stage], Ending]) -> Callable[[Stage], Ending]:
        FAULTS[scene.__name__] = Fault(name, injected, scene)
        return scene

    return enter


def alike(text: str) -> str:
    """A line without what differs from run to run: folders, process numbers, times of day, addresses."""
    text = re.sub(r"\S*/(?=\d{8}-\d{6}-)\S+?(?=/ledger\.sqlite|/environment|[:;,]|\s|$)", "RUN", text)
    text = re.sub(r"(?<![\w.])/(?:\S+/)(?=[\w.-]+)", "", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"process \d+", "process N", text)
    text = re.sub(r"run \d{8}-\d{6}-\w+", "run ID", text)
    return re.sub(r"page \d+|cell \d+|rowid \d+", "…", text)
