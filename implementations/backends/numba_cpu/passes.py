"""How the work of a pass is divided among threads, and over time.

By samples: each thread takes its share of the batch through everything, and waits for nobody.  That needs
a batch.  By stages (see `stages`), for a batch smaller than half the threads: the time loop is one
thread's, the products before and after it are the others'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from implementations.backends.numba_cpu.threads import POOL

CHUNK_ROWS = 64
"""Samples that a thread takes through time together: their states are to stay in cache."""
BLOCK_ROWS = 128
"""Rows (steps × samples) of a block: enough for products at full speed, few enough to stay in cache."""
WINDOW = 64
"""Steps of a window, where a pass is divided by stages."""
WORTH_A_THREAD = 2e6
"""Multiply-adds below which waking a thread costs more than it brings."""
WORTH_STAGES = 3e7
"""The same, where threads also wait for each other."""

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
    if 2 * batch_size <= num_threads and seq_len > WINDOW and work >= WORTH_STAGES:
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
