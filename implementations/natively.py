"""NumPy-like functions of a backend's native arrays: on the arrays themselves, or by way of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from implementations.contract import Backend, Native


@dataclass(frozen=True)
class Natively:
    """Calls `function(xp, *natives)`, where `xp` has `concatenate` and `stack` of such arrays.

    A backend that names its array library (`Backend.namespace`) keeps its arrays where they are; any other's
    make the way through NumPy.
    """

    backend: Backend
    dtype: str

    def __call__(self, function: Callable[..., Any], *natives: Native) -> Native:
        xp = self.backend.namespace
        if xp is not None:
            return function(xp, *natives)
        found = function(np, *map(self.backend.to_numpy, natives))
        return self.backend.to_native(found, self.dtype)

    def zeros(self, shape: tuple[int, ...]) -> Native:
        border = "float64" if self.dtype == "float64" else "float32"
        return self.backend.to_native(np.zeros(shape, border), self.dtype)

    def sum(self, *natives: Native | None) -> Native | None:
        """The sum of those that are there; None where none is."""
        there = [native for native in natives if native is not None]
        total = there[0] if there else None
        for native in there[1:]:
            total = self(lambda xp, a, b: a + b, total, native)
        return total
