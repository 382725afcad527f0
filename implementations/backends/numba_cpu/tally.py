"""How much was compiled in this process, how much was found on disk, and what both took.

Numba says when it begins and ends to compile a function; a kernel's own functions are compiled within it, so
that only the outermost counts.  What is found on disk is never announced: the cache counts that itself.
"""

from __future__ import annotations

import time
from functools import cache

from numba.core import event

from implementations.contract import Compilation


class Tally(event.Listener):
    """Numba holds one lock for everything that is counted here."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._compiled = self._loaded = self._depth = 0
        self._started = 0.0

    def so_far(self) -> Compilation:
        return Compilation(self._seconds, self._compiled, self._loaded)

    def on_start(self, event: event.Event) -> None:
        if self._depth == 0:
            self._started = time.perf_counter()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._compiled += 1
            self._seconds += time.perf_counter() - self._started

    def looked_up(self, seconds: float, *, found: bool) -> None:
        """The cache was asked for a kernel."""
        if self._depth == 0:
            self._seconds += seconds
        self._loaded += found


@cache
def tally() -> Tally:
    """This process's count, from the first call on."""
    listener = Tally()
    event.register("numba:compile", listener)
    return listener
