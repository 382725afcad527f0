"""What a file says of its run and machine, held against the same allow-list that a run's own record has.

What does not fit is left out, as if the file had not said it: people judge by it, no number rests on it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.exchange.checked import mapping
from harness.measure.environment.model import Environment
from harness.plan import Plan
from harness.text import printable

_Backends = TypeAdapter(dict[str, dict[str, Any]])
_Warnings = TypeAdapter(list[dict[str, str]])


def known_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run, each of the kind that it ought to be."""
    command, started = found.get("command"), found.get("started_at")
    known: dict[str, Any] = {
        "environment": known_environment(mapping(found.get("environment"))),
        "command": printable(command) if isinstance(command, str) else None,
        "started_at": started if isinstance(started, int | float) and 0 <= started < 2**33 else time.time(),
        "redacted": found.get("redacted") is True,
    }
    with suppress(ValidationError):
        known["plan"] = Plan.model_validate(found.get("plan")).model_dump()
    machines = mapping(found.get("machines"))
    if machines:
        known["machines"] = {
            printable(str(name)): known_environment(mapping(described))
            for name, described in machines.items()
        }
    return known


def known_environment(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields of an environment that are of their type."""
    known = {}
    for name, adapter in _adapters().items():
        if name in found:
            with suppress(ValueError):  # pydantic's is one; a number may be infinite, a text no Unicode
                value = adapter.dump_python(adapter.validate_python(found[name]), mode="json")
                json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
                known[name] = value
    return known


@cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    fields: dict[str, Any] = {name: field.annotation for name, field in Environment.model_fields.items()}
    return {
        **{name: TypeAdapter(kind) for name, kind in fields.items()},
        "backends": _Backends,
        "warnings": _Warnings,
    }
