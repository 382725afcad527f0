"""Known answers: kernels that sleep, wait, compute or allocate a known amount, measured as every case is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from statistics import median

import numpy as np
import psutil

from harness.measure.memory import MemoryUnmeasurable, peak_of
from harness.measure.stability import Budget
from harness.measure.timing import Timing, alternately, measuring, time_steadily
from harness.report.pairs import Process, pair_ratio
from harness.report.summaries.throughput import CANCELLED
from harness.selftest.row import Row

GROUP = "known answers"
MIB = 2**20
SLEEP_SECONDS = 0.02
KERNEL_SECONDS = 1e-3
TIME_TOLERANCE = 0.03
OVERHEAD = 0.01
MEMORY_SHARE = 0.02
ALLOCATIONS_MIB = (10, 100, 512, 2048)
QUICK_ALLOCATIONS_MIB = (10, 100)


def rows(*, quick: bool) -> Iterator[Row]:
    """A sleep, a kernel of 1 ms, twice the FLOP, and allocations."""
    budget_seconds = 0.15 if quick else 0.5
    yield _sleep(budget_seconds)
    yield _overhead(budget_seconds)
    yield _twice_the_work(budget_seconds)
    for mib in QUICK_ALLOCATIONS_MIB if quick else ALLOCATIONS_MIB:
        yield _allocation(mib * MIB)


class Kernel:
    """Waits on the clock for a given time, and keeps how long each call really took."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.took: list[float] = []

    def __call__(self) -> None:
        started = time.perf_counter()
        while (now := time.perf_counter()) < started + self.seconds:
            pass
        self.took.append(now - started)


def _timed(call: Callable[[], object], budget_seconds: float) -> Timing:
    return time_steadily(call, lambda: None, budget_seconds, Budget(1))


def _median(timing: Timing) -> float:
    last = timing.samples[-1].attempt
    return median(s.seconds for s in timing.samples if s.phase == "sample" and s.attempt == last)


def _process(timing: Timing) -> Process:
    """The last attempt, as the report reads it."""
    last = timing.samples[-1].attempt
    rounds: dict[Hashable, list[float]] = {}
    for sample in timing.samples:
        if sample.phase == "sample" and sample.attempt == last:
            rounds.setdefault((last, sample.round), []).append(sample.seconds)
    return Process(_median(timing), {name: median(seconds) for name, seconds in rounds.items()})


def _why_not(*timings: Timing, harmless: Sequence[str] = ()) -> str | None:
    """What disturbed the attempts that are read, each kind once."""
    kinds = (why.partition(":")[0] for timing in timings for why in timing.unstable[-1])
    return ", ".join(kind for kind in dict.fromkeys(kinds) if kind not in harmless) or None


def _sleep(budget_seconds: float) -> Row:
    timing = _timed(lambda: time.sleep(SLEEP_SECONDS), budget_seconds)
    got = _median(timing)
    good = abs(got / SLEEP_SECONDS - 1) <= TIME_TOLERANCE
    return Row(
        GROUP,
        "time of a kernel that sleeps",
        f"{1e3 * SLEEP_SECONDS:g} ms ± {TIME_TOLERANCE:.0%}",
        f"{1e3 * got:.2f} ms",
        good,
        _why_not(timing),
    )


def _overhead(budget_seconds: float) -> Row:
    """What a sample holds beyond the kernel's own account of its calls; load lengthens both alike."""
    kernel = Kernel(KERNEL_SECONDS)
    timing = _timed(kernel, budget_seconds)
    accounts, excess = iter(kernel.took), []
    for sample in timing.samples:
        own = sum(itertools.islice(accounts, sample.loops))
        excess.append(sample.loops * sample.seconds / own - 1)
    overhead, forgotten = median(excess), sum(1 for _ in accounts)
    return Row(
        GROUP,
        f"what the harness adds to a kernel of {1e3 * KERNEL_SECONDS:g} ms",
        f"≤ {OVERHEAD:.0%}",
        f"{overhead:.3%}",
        overhead <= OVERHEAD and not forgotten,
    )


def _twice_the_work(budget_seconds: float) -> Row:
    """The ratio of times of one and of two equal matrix products, in turn: twice the FLOP."""
    from threadpoolctl import threadpool_limits

    n = 192
    a, b, c = (np.ones((n, n)) for _ in range(3))

    def once() -> None:
        np.matmul(a, b, out=c)

    def twice() -> None:
        once()
        once()

    with threadpool_limits(limits=1):
        steps = [measuring(call, lambda: None, 2 * budget_seconds, Budget(1)) for call in (once, twice)]
        one, two = alternately(*steps)
    ratio = pair_ratio(_process(two), _process(one))
    return Row(
        GROUP,
        f"time of {4 * n**3 / 1e6:.1f} MFLOP over that of {2 * n**3 / 1e6:.1f} MFLOP",
        f"2 ± {TIME_TOLERANCE:.0%}",
        f"{ratio:.3f}",
        abs(ratio / 2 - 1) <= TIME_TOLERANCE,
        _why_not(one, two, harmless=CANCELLED),
    )


def _allocation(size: int) -> Row:
    from implementations.registry import load_backend

    allowed = max(MEMORY_SHARE * size, MIB)
    name, target = f"peak of a kernel that allocates {size // MIB} MiB", f"± {allowed / MIB:.1f} MiB"
    available = psutil.virtual_memory().available
    if available < 1.5 * size:
        return Row(GROUP, name, target, "n/a", False, f"{available // MIB} MiB of memory are free")
    try:
        peak = peak_of(lambda: np.ones(size, np.uint8), load_backend("numpy"))
    except MemoryUnmeasurable as error:
        return Row(GROUP, name, target, "n/a", False, str(error))
    return Row(
        GROUP,
        name,
        target,
        f"{peak.peak_bytes / MIB:.1f} MiB ({peak.method})",
        abs(peak.peak_bytes - size) <= allowed,
    )
