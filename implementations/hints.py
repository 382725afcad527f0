"""What is known of a backend before it is loaded: enough to say roughly how long a run will take.

Costs are ratios: to what the machine takes for something basic, which whoever forecasts measures first.
A backend without a hint counts as :data:`UNKNOWN`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from implementations.contract import Backend
from implementations.registry import BACKENDS

Load = TypeVar("Load", bound=Callable[[], Backend])
Pass = tuple[str, str, bool]
"""cell, dtype, training."""


@dataclass(frozen=True)
class Hint:
    """Args:
    library: the module that the backend needs; without it, it is not here.
    cuda: it needs a CUDA device as well.
    loading: time to load it over that of a fresh interpreter which imports NumPy.
    step_calls: time of one step of one gate, beside the arithmetic, in calls of a small NumPy function.
    interpreted: the arithmetic is done number by number in Python.
    inference_only: it has no backward.
    compiling: time to compile a piece of code, over that of a fresh interpreter which imports NumPy.
    per_shape: every new shape is a piece of code; otherwise every cell, dtype and direction.
    missing: passes -> how many pieces of them are not on disk; where None, all.
    """

    library: str = "numpy"
    cuda: bool = False
    loading: float = 2.0
    step_calls: float = 10.0
    interpreted: bool = False
    inference_only: bool = False
    compiling: float = 0.0
    per_shape: bool = False
    missing: Callable[[Iterable[Pass]], int] | None = None

    def is_here(self) -> bool:
        """Whether the library can be found, and a driver where a device is needed.  Nothing is imported."""
        if importlib.util.find_spec(self.library) is None:
            return False
        return not self.cuda or any(Path(place).exists() for place in ("/dev/nvidia0", "/dev/dxg"))


UNKNOWN = Hint()
_HINTS: dict[Callable[[], Backend], Hint] = {}


def hinted(hint: Hint) -> Callable[[Load], Load]:
    """Decorator of a backend's loading function."""

    def enter(load: Load) -> Load:
        _HINTS[load] = hint
        return load

    return enter


def hint_of(backend: str) -> Hint:
    """The backend's hint, by its name."""
    return _HINTS.get(BACKENDS[backend], UNKNOWN)
