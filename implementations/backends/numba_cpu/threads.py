"""A few threads that live as long as the process and wait, asleep, for parts of a pass.

Kernels release the GIL, so plain Python threads are enough; their number is ours alone to set, and no
OpenMP, TBB or BLAS pool has a say in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np

from implementations.contract import Array


class _Job:
    """One part, to be run somewhere; `wait` returns when it is done, with what it raised, if it did."""

    def __init__(self, part: Callable[[], None]) -> None:
        self._part = part
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def run(self) -> None:
        try:
            self._part()
        except BaseException as error:  # it belongs to whoever waits
            self._error = error
        finally:
            self._done.release()

    def wait(self) -> BaseException | None:
        self._done.acquire()
        return self._error


class Pool:
    """As many sleeping threads as were ever needed at once; a forked child starts with none."""

    def __init__(self) -> None:
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._kept_off: int | None = None
        self._taken = 0
        self._counting = threading.Lock()

    def _take(self, count: int) -> None:
        """So many threads for one caller, beside those of others: its parts may wait for each other."""
        with self._counting:
            self._taken += count
            while len(self._threads) < self._taken:
                name = f"numba-kernels-{len(self._threads) + 1}"
                self._threads.append(
                    threading.Thread(target=_serve, args=(self._jobs,), name=name, daemon=True)
                )
                self._threads[-1].start()
                self._kept_off = None
            if self._taken == count:
                self._keep_off(current_core())

    def _keep_off(self, core: int | None) -> None:
        """Let the pool's threads run anywhere but on `core`, the caller's.

        A thread is often woken on the core of whoever woke it, and then stands in the queue behind the very
        one that is to wait for it: a pass takes up to twice its time.  Nothing is done where the caller has
        not moved since it last asked, nor where there is no other core.
        """
        if core is None or core == self._kept_off or not hasattr(os, "sched_setaffinity"):
            return
        elsewhere = os.sched_getaffinity(0) - {core}
        if elsewhere:
            for thread in self._threads:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(thread.native_id or 0, elsewhere)
            self._kept_off = core

    def run(self, parts: Sequence[Callable[[], None]]) -> None:
        """Run all parts at once, the first in the calling thread; return when the last is done."""
        jobs = [_Job(part) for part in parts[1:]]
        self._take(len(jobs))
        try:
            for job in jobs:
                self._jobs.put(job)
            parts[0]()
        finally:
            errors = [job.wait() for job in jobs]
            with self._counting:
                self._taken -= len(jobs)
        for error in errors:
            if error is not None:
                raise error


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        jobs.get().run()


def _core_reader() -> Callable[[], int] | None:
    """`sched_getcpu`, where the C library has it; called with the GIL held, since it returns at once."""
    try:
        return ctypes.PyDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return None


_read_core = _core_reader()


def current_core() -> int | None:
    """The core that this thread runs on at this moment; None where the system does not tell."""
    return None if _read_core is None else _read_core()


POOL = Pool()


class _Own(threading.local):
    """Scratch arrays by use and dtype, of each thread."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[str, np.dtype], Array] = {}


_own = _Own()


def scratch(use: str, size: int, dtype: np.dtype) -> Array:
    """At least `size` elements with any content, this thread's own until it asks again for the same use."""
    arrays = _own.arrays
    array = arrays.get((use, dtype))
    if array is None or array.size < size:
        array = arrays[use, dtype] = np.empty(size, dtype)
    return array


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
