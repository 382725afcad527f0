"""How a case ends: measured, unsupported or failed.  Nothing else, and never nothing.

A measurement is columns of equal length (tidy rows, raw samples in order) and facts (one value each).
Statistics are computed when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.case import Scalar

Status = Literal["measured", "unsupported", "failed"]


@dataclass(frozen=True)
class Measured:
    """Args:
    columns: name -> values, all of one length; one row per observation.
    facts: what holds for the whole case (FLOP of one call, threads in force, error against the reference).

    Raises:
        ValueError: columns of different lengths, or a name that is both a column and a fact.
    """

    columns: Mapping[str, Sequence[Scalar]]
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    status: Status = "measured"

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must have one length, got {lengths}")
        both = sorted(set(self.columns) & set(self.facts))
        if both:
            raise ValueError(f"{', '.join(both)} given both as a column and as a fact")


@dataclass(frozen=True)
class Unsupported:
    """The backend or the machine cannot do this case.  Not a failure."""

    reason: str
    status: Status = "unsupported"


@dataclass(frozen=True)
class Failed:
    """The case went wrong: how, and the end of its log."""

    reason: str
    log: str = ""
    status: Status = "failed"


Outcome = Measured | Unsupported | Failed


def to_json(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Measured(columns, facts):
            return {
                "status": "measured",
                "columns": {k: list(v) for k, v in columns.items()},
                "facts": dict(facts),
            }
        case Unsupported(reason):
            return {"status": "unsupported", "reason": reason}
        case Failed(reason, log):
            return {"status": "failed", "reason": reason, "log": log}


def from_json(data: Mapping[str, Any]) -> Outcome:
    """The inverse of :func:`to_json`.

    Raises:
        ValueError: a status that does not exist.
    """
    match data.get("status"):
        case "measured":
            return Measured(data["columns"], data["facts"])
        case "unsupported":
            return Unsupported(data["reason"])
        case "failed":
            return Failed(data["reason"], data.get("log", ""))
        case other:
            raise ValueError(f"status must be measured, unsupported or failed, got {other!r}")
