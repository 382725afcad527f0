"""One BLAS thread for small matrices.

Factorising a matrix of a few hundred rows gains nothing from a second thread, and where other processes want
the cores too, threads that wait for each other make it up to a hundred times slower.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

SMALL = 192
"""Rows up to which one thread is at least as fast."""


def threads_for(size: int) -> AbstractContextManager[Any]:
    """A context in which BLAS has one thread where (S, S) matrices are small, else all of its own."""
    return _controller().limit(limits=1, user_api="blas") if size <= SMALL else nullcontext()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
