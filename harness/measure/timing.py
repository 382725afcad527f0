"""Timing one call: the first apart, warm-ups apart, every sample kept in order, loops fitted to the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MINIMUM_SAMPLE_SECONDS = 2e-3
"""One sample repeats the call until it lasts at least this long: far above the clock's step and cost."""
MINIMUM_SAMPLES = 5
MAXIMUM_SAMPLES = 100


@dataclass(frozen=True)
class Sample:
    """`loops` calls in a row; `seconds` is the mean of one."""

    phase: str
    index: int
    loops: int
    seconds: float


def time_calls(
    call: Callable[[], object], synchronize: Callable[[], None], budget_seconds: float
) -> list[Sample]:
    """First call, warm-ups, then samples until the budget is spent (at least MINIMUM_SAMPLES).

    Args:
        call: the work; what it returns is dropped.
        synchronize: waits for the device, so that queued work is counted where it belongs.
        budget_seconds: for warm-ups and samples together; warm-ups take a fifth of it at most.
    """

    def run(loops: int) -> float:
        synchronize()
        start = time.perf_counter()
        for _ in range(loops):
            call()
        synchronize()
        return (time.perf_counter() - start) / loops

    samples = [Sample("first_call", 0, 1, run(1))]
    started = time.perf_counter()
    warm = run(1)
    samples.append(Sample("warmup", 0, 1, warm))
    while time.perf_counter() - started < 0.2 * budget_seconds and len(samples) < MAXIMUM_SAMPLES:
        loops = _loops(warm)
        warm = run(loops)
        samples.append(Sample("warmup", len(samples) - 1, loops, warm))
    loops = _loops(warm)
    for index in range(MAXIMUM_SAMPLES):
        if index >= MINIMUM_SAMPLES and time.perf_counter() - started >= budget_seconds:
            break
        samples.append(Sample("sample", index, loops, run(loops)))
    return samples


def _loops(seconds: float) -> int:
    return max(1, round(MINIMUM_SAMPLE_SECONDS / max(seconds, 1e-9) + 0.5))
