"""A case: one point of one study, the smallest thing that is measured, skipped or fails on its own.

Its key is a digest of everything that decides what is measured, so that the same case has the same key
in every run and on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Case:
    """Args:
    study: the study's name.
    axes: the swept and fixed settings of this point, plain scalars by name; `backend` is one of them.
    replicate: which fresh worker process measures it, from 0.

    Raises:
        ValueError: what a ledger could keep and not give back: no backend, a replicate out of range, an axis
            that is no plain scalar.
    """

    study: str
    axes: Mapping[str, Scalar]
    replicate: int = 0

    def __post_init__(self) -> None:
        study, replicate = self.study, self.replicate
        if type(study) is not str or type(replicate) is not int or not 0 <= replicate < 2**31:
            raise ValueError("a case's study must be a string, its replicate a whole number from 0")
        if type(self.axes.get("backend")) is not str:
            raise ValueError("a case's axes must be a mapping that has a backend")
        require_scalars([study, *self.axes], "a case")
        for name, value in self.axes.items():
            require_scalars((value,), f"axis {name!r}")

    @property
    def backend(self) -> str:
        return str(self.axes["backend"])

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits, stable over runs, machines and Python versions."""
        return hashlib.sha256(canonical(self.to_json()).encode()).hexdigest()[:16]

    @property
    def block(self) -> str:
        """The comparison this case belongs to: all of it but the backend."""
        axes = {name: value for name, value in self.axes.items() if name != "backend"}
        return canonical([self.study, axes, self.replicate])

    def to_json(self) -> dict[str, Any]:
        return {"study": self.study, "axes": dict(self.axes), "replicate": self.replicate}

    @classmethod
    def from_json(cls, data: Any) -> Case:
        """The inverse of :meth:`to_json`, for data that nobody vouches for.

        Raises:
            ValueError: anything but a case's shape; the message says what.
        """
        if not isinstance(data, dict) or set(data) != {"study", "axes", "replicate"}:
            raise ValueError("a case must have study, axes and replicate, and nothing else")
        if not isinstance(data["axes"], dict):
            raise ValueError("a case's axes must be a mapping that has a backend")
        return cls(study=data["study"], axes=dict(data["axes"]), replicate=data["replicate"])

    def __str__(self) -> str:
        swept = " ".join(f"{name}={value}" for name, value in self.axes.items() if value is not None)
        return f"{self.study} {swept}" + (f" replicate={self.replicate}" if self.replicate else "")


def require_scalars(values: Iterable[Any], what: str) -> None:
    """Nothing but text that can be written, numbers of 64 bits, true, false and none.

    Raises:
        ValueError: something else; the message begins with `what`.
    """
    for value in values:
        if value is None or type(value) is float:  # most of what is measured
            continue
        if not isinstance(value, (str, int, float)):  # a bool is an int
            raise ValueError(f"{what} must hold plain scalars, got {type(value).__name__}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"{what} holds a whole number beyond 64 bits")
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError(f"{what} holds text that is no Unicode") from None


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces: equal data, equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
