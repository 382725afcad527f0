"""One row of the self-test: what was asked, what came, and whether that is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "not judged"]


@dataclass(frozen=True)
class Row:
    """Args:
    group: what kind of question it answers.
    name: what was measured.
    target, got: as people read them.
    good: does `got` meet `target`?
    why_not: why this row is not judged here (load, no such counter); then `good` counts for nothing.
    """

    group: str
    name: str
    target: str
    got: str
    good: bool
    why_not: str | None = None

    @property
    def verdict(self) -> Verdict:
        if self.why_not:
            return "not judged"
        return "pass" if self.good else "fail"

    def to_json(self) -> dict[str, str | None]:
        names = ("group", "name", "target", "got")
        return {**{n: getattr(self, n) for n in names}, "verdict": self.verdict, "reason": self.why_not}
