"""How a case ends: measured, unsupported or failed.  Nothing else, and never nothing.

A measurement is columns of equal length (tidy rows, raw samples in order) and facts (one value each).
Statistics are computed when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.case import Scalar, require_scalars
from harness.text import printable

Status = Literal["measured", "unsupported", "failed"]


@dataclass(frozen=True)
class Measured:
    """Args:
    columns: name -> values, all of one length; one row per observation.
    facts: what holds for the whole case (FLOP of one call, threads in force, error against the reference).

    Raises:
        ValueError: columns of different lengths, a name that is both a column and a fact, or anything but
            plain scalars: a ledger could keep it and not give it back.
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
        require_scalars([*self.columns, *self.facts], "an outcome")
        for name, values in self.columns.items():
            require_scalars(values, f"column {name!r}")
        for name, value in self.facts.items():
            require_scalars((value,), f"fact {name!r}")


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


def from_json(data: Any) -> Outcome:
    """The inverse of :func:`to_json`, for data that nobody vouches for: a worker's answer, a ledger's row.

    Raises:
        ValueError: anything but an outcome's shape; the message says what.
    """
    if not isinstance(data, dict):
        raise ValueError(f"an outcome must be an object, got {type(data).__name__}")
    match data.get("status"):
        case "measured":
            columns, facts = _mapping(data, "columns"), _mapping(data, "facts")
            for name, values in columns.items():
                if not isinstance(values, list):
                    raise ValueError(f"column {name!r} must be a list, got {type(values).__name__}")
            return Measured(columns, facts)
        case "unsupported":
            return Unsupported(_text(data, "reason"))
        case "failed":
            return Failed(_text(data, "reason"), _text(data, "log") if "log" in data else "")
        case other:
            raise ValueError(f"status must be measured, unsupported or failed, got {str(other)[:80]!r}")


def _mapping(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a mapping, got {type(value).__name__}")
    return value


def _text(data: dict[str, Any], name: str) -> str:
    """What went wrong is shown whatever its letters are: those that cannot be written are replaced."""
    value = data.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {type(value).__name__}")
    return printable(value)
