"""Which core whoever is compared keeps to.

The cores of a virtual machine change their speed each for itself, by half and more, several times a second.
Of two processes with one thread each, every one stays on the core on which it began, so that the ratio of
their times is that of their cores.  Those who are compared therefore keep to the same one.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator


def draw_core(num_threads: int) -> int | None:
    """One of the allowed cores for a budget of one thread; None, any, where there is no choice.

    More than one thread is left to the system, which knows which cores lie together.
    """
    if num_threads > 1 or not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return random.choice(allowed) if len(allowed) > 1 else None


@contextlib.contextmanager
def kept_to(core: int | None) -> Iterator[None]:
    """This thread runs on that core alone; on any that it was allowed before, where it is None or refused."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
