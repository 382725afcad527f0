"""What parent and worker say to each other: JSON, one line each way, checked before it is believed.

A worker runs a backend's native code, which may write anything anywhere; so its answers are capped in
size, and one that is not of the expected shape ends the worker, whose case is then a failed row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from harness import outcome as outcomes
from harness.measure.timing import Pause
from harness.outcome import Outcome
from harness.text import printable

MAXIMUM_ANSWER_BYTES = 64 * 2**20
"""Of one line; the longest that the shipped studies send is some thousands of numbers."""
_SHOWN = 200


class BadAnswer(ValueError):
    """Not what a worker says; the message says why, in a few words."""


@dataclass(frozen=True)
class Ready:
    """The backend is loaded.  `description`: what the report says of it, JSON values by name."""

    description: dict[str, Any]


@dataclass(frozen=True)
class Absent:
    """The backend cannot be loaded here, for this reason."""

    reason: str


def read_greeting(line: bytes) -> Ready | Absent:
    """A worker's first answer.

    Raises:
        BadAnswer: anything else.
    """
    match _object(line):
        case {"ready": dict(description), **rest} if not rest:
            return Ready(json.loads(printable(json.dumps(description, ensure_ascii=False))))
        case {"unavailable": str(reason), **rest} if not rest:
            return Absent(printable(reason))
        case other:
            raise BadAnswer(f"expected ready or unavailable, got {_shown(other)}")


def read_answer(line: bytes, key: str) -> Outcome | Pause:
    """A worker's answer to the case of this key: its outcome, or that it stands still on the way to it.

    Raises:
        BadAnswer: anything else, an answer to another case among it.
    """
    match _object(line):
        case {"paused": str(answered), "wants_again": None | bool() as wants, **rest} if not rest:
            _require_same(key, answered)
            return Pause(wants)
        case {"outcome": dict(found), "key": str(answered), **rest} if not rest:
            _require_same(key, answered)
            try:
                return outcomes.from_json(found)
            except ValueError as error:
                raise BadAnswer(str(error)) from error
        case other:
            raise BadAnswer(f"expected an outcome, got {_shown(other)}")


def _require_same(key: str, answered: str) -> None:
    if answered != key:
        raise BadAnswer(f"expected case {key}, got one for {printable(answered)[:_SHOWN]}")


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number without end; brackets without end
        raise BadAnswer(f"expected JSON, got {line[:_SHOWN]!r}") from None
    if not isinstance(found, dict):
        raise BadAnswer(f"expected an object, got {_shown(found)}")
    return found


def _shown(found: Any) -> str:
    return printable(json.dumps(found))[:_SHOWN]
