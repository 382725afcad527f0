"""How the work of a pass is divided among threads, and over time.

By samples: each thread takes its share of the batch through everything, and waits for nobody.  That needs
a batch.  By stages, for a batch smaller than half the threads: the time loop is one thread's, but the
products before and after it are not bound to its order; window by window, another thread projects the
inputs of the next, recalls what was not kept for the next, or collects the gradients of the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from implementations.backends.numba_cpu.products import COLLECT, PROJECT, RECALL, STEP
from implementations.backends.numba_cpu.threads import POOL

CHUNK_ROWS = 64
"""Samples that a thread takes through time together: their states are to stay in cache."""
BLOCK_ROWS = 128
"""Rows (steps × samples) of a block: enough for products at full speed, few enough to stay in cache."""
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


def block_of(samples: Span, steps: Span) -> int:
    """Steps of a block."""
    return min(steps[1] - steps[0], max(1, BLOCK_ROWS // (samples[1] - samples[0])))


def segment_of(seq_len: int, batch_size: int) -> int:
    """Steps between two checkpoints: √T, the number that keeps the least, but no less than a block's."""
    return min(seq_len, max(math.isqrt(seq_len - 1) + 1, BLOCK_ROWS // batch_size))


def windows_of(seq_len: int, steps: int) -> list[Span]:
    """0…seq_len in windows of so many steps, the last perhaps shorter."""
    return [(start, min(start + steps, seq_len)) for start in range(0, seq_len, steps)]


def by_samples(run: Stage, stages: int, count: int, batch_size: int, windows: Sequence[Span]) -> None:
    """All stages of window after window, `count` threads with a share of the samples each."""

    def take(worker: int, share: Span) -> None:
        for first in range(*share, CHUNK_ROWS):
            for window in windows:
                run(worker, stages, (first, min(first + CHUNK_ROWS, share[1])), window)

    POOL.run([partial(take, worker, share) for worker, share in enumerate(split(batch_size, count))])


def forward_by_stages(run: Stage, count: int, seq_len: int, batch_size: int) -> None:
    """The time loop here, and meanwhile the next window's products on `count` − 1 other threads."""
    windows, everybody = windows_of(seq_len, WINDOW), (0, batch_size)
    POOL.run(_jobs(run, PROJECT, everybody, windows[0], range(count)))
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        stepping = partial(run, 0, STEP, everybody, window)
        POOL.run([stepping, *_jobs(run, PROJECT, everybody, following, range(1, count))])


def backward_by_stages(
    run: Stage, count: int, batch_size: int, windows: Sequence[Span], *, recalls: bool
) -> None:
    """The time loop here, and meanwhile the gradients of the window before on the other threads.

    Where a window must be recalled before its time loop, the first of the others does that, too.
    """
    everybody = (0, batch_size)
    done: Span | None = None
    if recalls:
        run(0, RECALL, everybody, windows[0])
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        others = _jobs(run, COLLECT, everybody, done, range(1, count))
        if recalls and following is not None:
            recalling = partial(run, 1, RECALL, everybody, following)
            others[:1] = [_in_turn(recalling, *others[:1])]
        POOL.run([partial(run, 0, STEP, everybody, window), *others])
        done = window
    POOL.run(_jobs(run, COLLECT, everybody, done, range(count)))


def _in_turn(*jobs: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for job in jobs:
            job()

    return run


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
