"""A case: one point of one study, the smallest thing that is measured, skipped or fails on its own.

Its key is a digest of everything that decides what is measured, so that the same case has the same key
in every run and on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Case:
    """Args:
    study: the study's name.
    axes: the swept and fixed settings of this point, plain scalars by name; `backend` is one of them.
    replicate: which fresh worker process measures it, from 0.
    """

    study: str
    axes: Mapping[str, Scalar]
    replicate: int = 0

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
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        return cls(study=data["study"], axes=dict(data["axes"]), replicate=data["replicate"])

    def __str__(self) -> str:
        swept = " ".join(f"{name}={value}" for name, value in self.axes.items() if value is not None)
        return f"{self.study} {swept}" + (f" replicate={self.replicate}" if self.replicate else "")


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces: equal data, equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
