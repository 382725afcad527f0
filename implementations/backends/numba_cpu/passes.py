"""How the work of a pass is divided among threads.

By samples: each thread takes its share of the batch through everything, and waits for nobody.  That needs
a batch.  By stages, for a batch smaller than half the threads: the time loop is one thread's, but the
products before and after it are not bound to its order; window by window, another thread projects the
inputs of the next, or collects the gradients of the last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from implementations.backends.numba_cpu.products import COLLECT, PROJECT, STEP
from implementations.backends.numba_cpu.threads import POOL

CHUNK_ROWS = 64
"""Samples that a thread takes through time together: their states are to stay in cache."""
WINDOW = 128
"""Steps of a window."""
WORTH_A_THREAD = 2e6
"""Multiply-adds below which waking a thread costs more than it brings."""

Span = tuple[int, int]


class Stage(Protocol):
    """Runs the given stages for some samples and steps, as worker number `worker`."""

    def __call__(self, worker: int, stages: int, samples: Span, steps: Span) -> None: ...


def split(size: int, count: int) -> list[Span]:
    """0…size in `count` parts of nearly the same length, none of them empty."""
    count = min(size, count)
    return [(index * size // count, (index + 1) * size // count) for index in range(count)]


def shares(num_threads: int, seq_len: int, batch_size: int, work: float) -> tuple[int, bool]:
    """Threads worth waking for `work` multiply-adds, and whether they divide it by stages."""
    if work < WORTH_A_THREAD or num_threads == 1:
        return 1, False
    if 2 * batch_size <= num_threads and seq_len > WINDOW:
        return num_threads, True
    return min(num_threads, batch_size), False


def by_samples(run: Stage, stages: int, count: int, seq_len: int, batch_size: int) -> None:
    """All stages of all steps, `count` threads with a share of the samples each."""

    def take(worker: int, share: Span) -> None:
        for first in range(*share, CHUNK_ROWS):
            run(worker, stages, (first, min(first + CHUNK_ROWS, share[1])), (0, seq_len))

    POOL.run([partial(take, worker, share) for worker, share in enumerate(split(batch_size, count))])


def forward_by_stages(run: Stage, count: int, seq_len: int, batch_size: int) -> None:
    """The time loop here, and meanwhile the next window's products on `count` − 1 other threads."""
    windows, everybody = _windows(seq_len), (0, batch_size)
    POOL.run(_jobs(run, PROJECT, everybody, windows[0], range(count)))
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        stepping = partial(run, 0, STEP, everybody, window)
        POOL.run([stepping, *_jobs(run, PROJECT, everybody, following, range(1, count))])


def backward_by_stages(run: Stage, count: int, seq_len: int, batch_size: int) -> None:
    """The time loop here, and meanwhile the gradients of the window before on the other threads."""
    windows, everybody = _windows(seq_len)[::-1], (0, batch_size)
    for window, done in zip(windows, [None, *windows[:-1]], strict=True):
        stepping = partial(run, 0, STEP, everybody, window)
        POOL.run([stepping, *_jobs(run, COLLECT, everybody, done, range(1, count))])
    POOL.run(_jobs(run, COLLECT, everybody, windows[-1], range(count)))


def _windows(seq_len: int) -> list[Span]:
    return [(start, min(start + WINDOW, seq_len)) for start in range(0, seq_len, WINDOW)]


def _jobs(
    run: Stage, stages: int, samples: Span, window: Span | None, workers: range
) -> list[Callable[[], None]]:
    """A window's steps, divided among the workers."""
    if window is None:
        return []
    parts = split(window[1] - window[0], len(workers))
    return [
        partial(run, worker, stages, samples, (window[0] + start, window[0] + stop))
        for worker, (start, stop) in zip(workers, parts, strict=False)
    ]
