"""A pass divided by stages: one thread takes the time loop, others what is not bound to its order.

Window by window, the others project inputs before the loop gets there, recall what was not kept, or collect
the gradients that the loop has left behind.  Threads are woken once in a pass; then each goes through its
own list and waits at latches only where another has not come so far.  Who does what never changes a result:
a projection is the same in any thread, and a sum belongs to a worker whose windows are fixed beforehand.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from implementations.backends.numba_cpu.passes import WINDOW, Span, Stage, split, windows_of
from implementations.backends.numba_cpu.products import COLLECT, PROJECT, RECALL, STEP
from implementations.backends.numba_cpu.threads import POOL

ROOMS = 4
"""Windows at hand, so that threads that are not equally fast seldom wait for each other."""


class Latch:
    """Closed until the one thread whose latch it is opens it; to open it again changes nothing."""

    def __init__(self) -> None:
        self._opened = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        if not self._opened:
            self._opened = True
            self._lock.release()

    def wait(self) -> None:
        with self._lock:
            pass


def latches(count: int) -> list[Latch]:
    return [Latch() for _ in range(count)]


def open_all(latches: Sequence[Latch]) -> None:
    """What a worker does at its end, come what may: nobody is to wait for one that failed."""
    for latch in latches:
        latch.open()


def forward_by_stages(run: Stage, count: int, seq_len: int, batch_size: int) -> None:
    """The time loop here, and meanwhile the next windows' products on `count` − 1 other threads.

    A window that no other thread has begun when the loop gets there is projected here: a thread that
    wakes late, or not at all, costs nothing.
    """
    windows, everybody = windows_of(seq_len, WINDOW), (0, batch_size)
    unclaimed = [threading.Lock() for _ in windows]
    projected, stepped = latches(len(windows)), latches(len(windows))

    def project(worker: int, index: int) -> bool:
        if not unclaimed[index].acquire(blocking=False):
            return False
        try:
            run(worker, PROJECT, everybody, windows[index])
        finally:
            projected[index].open()
        return True

    def take_steps() -> None:
        try:
            for index, window in enumerate(windows):
                if not project(0, index):
                    projected[index].wait()
                run(0, STEP, everybody, window)
                stepped[index].open()
        finally:
            open_all(stepped)

    def project_ahead(worker: int) -> None:
        for index in range(1, len(windows)):
            if index >= ROOMS:
                stepped[index - ROOMS].wait()
            project(worker, index)

    POOL.run([take_steps, *(partial(project_ahead, worker) for worker in range(1, count))])


def backward_by_stages(
    run: Stage, count: int, batch_size: int, windows: Sequence[Span], *, recalls: int
) -> None:
    """The time loop here, and meanwhile the gradients of the windows before on `count` − 1 other threads.

    The first of the others also recalls each window before its time loop, where `recalls` is not 0: the
    number of recalled windows that there is room for.  The last window's gradients are everybody's.
    """
    everybody, others = (0, batch_size), range(1, count)
    stepped, recalled = latches(len(windows)), latches(len(windows))
    collected = {worker: latches(len(windows)) for worker in others}

    def wait_for_collected(index: int) -> None:
        if index >= 0:
            for done in collected.values():
                done[index].wait()

    def collect(worker: int, index: int) -> None:
        start, stop = windows[index]
        workers = range(count) if index == len(windows) - 1 else others
        parts = dict(zip(workers, split(stop - start, len(workers)), strict=False))
        if worker in parts:
            first, last = parts[worker]
            run(worker, COLLECT, everybody, (start + first, start + last))

    def take_steps() -> None:
        try:
            for index, window in enumerate(windows):
                wait_for_collected(index - ROOMS)
                if recalls and index == 0:
                    run(0, RECALL, everybody, window)
                elif recalls:
                    recalled[index].wait()
                run(0, STEP, everybody, window)
                stepped[index].open()
            collect(0, len(windows) - 1)
        finally:
            open_all(stepped)

    def collect_behind(worker: int) -> None:
        try:
            for index in range(len(windows)):
                if recalls and worker == 1 and index + 1 < len(windows):
                    wait_for_collected(index + 1 - recalls)
                    run(1, RECALL, everybody, windows[index + 1])
                    recalled[index + 1].open()
                stepped[index].wait()
                collect(worker, index)
                collected[worker][index].open()
        finally:
            open_all(collected[worker])
            if worker == 1:
                open_all(recalled)

    POOL.run([take_steps, *(partial(collect_behind, worker) for worker in others)])
