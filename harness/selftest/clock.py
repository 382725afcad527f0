"""The clock: its step, what a look at it costs, and that nobody can set it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from harness.measure.timing import MINIMUM_SAMPLE_SECONDS
from harness.selftest.row import Row

GROUP = "clock"
LOOKS = 100_000
SHARE = 1e-3
"""Two looks may cost this share of the shortest sample."""


def rows(*, quick: bool) -> Iterator[Row]:
    """Resolution, cost, and steadiness of `time.perf_counter`."""
    looks = LOOKS // 10 if quick else LOOKS
    step = _smallest_step(looks)
    yield Row(GROUP, "smallest step of the clock", "≤ 1 µs", f"{1e9 * step:.0f} ns", step <= 1e-6)
    share = 2 * _cost(looks) / MINIMUM_SAMPLE_SECONDS
    yield Row(
        GROUP,
        f"two looks at it, of a sample of {1e3 * MINIMUM_SAMPLE_SECONDS:g} ms",
        f"≤ {SHARE:.1%}",
        f"{share:.4%}",
        share <= SHARE,
    )
    info = time.get_clock_info("perf_counter")
    got = f"monotonic: {info.monotonic}, adjustable: {info.adjustable}"
    yield Row(
        GROUP, "it cannot be set", "monotonic, not adjustable", got, info.monotonic and not info.adjustable
    )


def _smallest_step(looks: int) -> float:
    times = [time.perf_counter() for _ in range(looks)]
    steps = [later - earlier for earlier, later in itertools.pairwise(times) if later > earlier]
    return min(steps, default=float("inf"))


def _cost(looks: int) -> float:
    """Seconds of one look: the best of five, for what disturbs only adds."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(looks // 5):
            time.perf_counter()
        best = min(best, (time.perf_counter() - started) / (looks // 5))
    return best
