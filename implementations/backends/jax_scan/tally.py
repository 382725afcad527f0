"""How much JAX has traced, lowered and compiled in this process, from what it says of itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax

from implementations.contract import Compilation

STAGES = "/jax/core/compile/"
"""Tracing, lowering and compiling: the names of their durations begin so."""
COMPILED = "/jax/core/compile/backend_compile_duration"
LOADED = "/jax/compilation_cache/cache_hits"


class Tally:
    """Listens from its making on."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._compiled = self._loaded = 0
        jax.monitoring.register_event_duration_secs_listener(self._took)
        jax.monitoring.register_event_listener(self._happened)

    def so_far(self) -> Compilation:
        return Compilation(self._seconds, self._compiled - self._loaded, self._loaded)

    def _took(self, event: str, seconds: float, **_: Any) -> None:
        if event.startswith(STAGES):
            self._seconds += seconds
        self._compiled += event == COMPILED

    def _happened(self, event: str, **_: Any) -> None:
        self._loaded += event == LOADED


@cache
def tally() -> Tally:
    """This process's count, from the first call on."""
    return Tally()
