"""Timing one call: the first apart, warm-ups apart, every sample kept in order, loops fitted to the clock.

The clock is `time.perf_counter`, which is monotonic: a wall clock that is set while a call runs changes
nothing.  Samples that something disturbed are measured again within a bounded budget, and kept: an attempt
adds samples, it takes none away.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.measure.stability import Budget, Observed, Watch, probe_seconds, why_unstable

MINIMUM_SAMPLE_SECONDS = 2e-3
"""One sample repeats the call until it lasts at least this long: far above the clock's step and cost."""
MINIMUM_SAMPLES = 5
MAXIMUM_SAMPLES = 100
MAXIMUM_ATTEMPTS = 3
"""How often a case is sampled at the most; together no longer than this many times its budget."""


@dataclass(frozen=True)
class Sample:
    """`loops` calls in a row; `seconds` is the mean of one by the clock, `cpu_seconds` that of all threads of
    this process together.  `preempted` counts how often a thread was put off its core meanwhile.
    `attempt` is 0, or higher where the case was sampled again."""

    phase: str
    index: int
    loops: int
    seconds: float
    cpu_seconds: float
    preempted: int
    attempt: int = 0


@dataclass(frozen=True)
class Timing:
    """Args:
    samples: all of all attempts, in order.  The last attempt is the one to read: it is the first that
        nothing disturbed, or there was no time for another.
    unstable: what disturbed each attempt, by attempt; an empty tuple where nothing did.
    probe_seconds: of a fixed piece of work, before and after the last attempt, the mean of both.
    """

    samples: list[Sample]
    unstable: list[tuple[str, ...]]
    probe_seconds: float

    @property
    def stable(self) -> bool:
        return not self.unstable[-1]


def time_calls(
    call: Callable[[], object], synchronize: Callable[[], None], budget_seconds: float
) -> list[Sample]:
    """First call, warm-ups, then samples until the budget is spent (at least MINIMUM_SAMPLES).

    Args:
        call: the work; what it returns is dropped.
        synchronize: waits for the device, so that queued work is counted where it belongs.
        budget_seconds: for warm-ups and samples together; warm-ups take a fifth of it at most.
    """
    timer = _Timer(call, synchronize)
    started = time.perf_counter()
    warm = timer.warm_up(0.2 * budget_seconds)
    left = budget_seconds - (time.perf_counter() - started - warm[0].seconds)
    return [*warm, *timer.sample(_loops(warm[-1].seconds), left)]


def time_steadily(
    call: Callable[[], object],
    synchronize: Callable[[], None],
    budget_seconds: float,
    budget: Budget,
    watch: Callable[[Budget], Watch] = Watch,
) -> Timing:
    """The same, and again while something disturbs the samples and the time allows it.

    Another attempt begins where the attempts so far, and one more like the last, take no longer than
    MAXIMUM_ATTEMPTS times `budget_seconds`.

    Args:
        budget: what the samples may use: threads, device.
        watch: what looks at the machine meanwhile.
    """
    timer = _Timer(call, synchronize)
    samples = timer.warm_up(0.2 * budget_seconds)
    loops = _loops(samples[-1].seconds)
    unstable: list[tuple[str, ...]] = []
    spent, probe = 0.0, [probe_seconds()]
    for attempt in range(MAXIMUM_ATTEMPTS):
        watching = watch(budget)
        started = time.perf_counter()
        found = timer.sample(loops, 0.8 * budget_seconds, attempt)
        took = time.perf_counter() - started
        samples += found
        unstable.append(tuple(why_unstable(watching.end(), _observed(found), budget)))
        spent += took
        probe.append(probe_seconds())
        if not unstable[-1] or spent + took > MAXIMUM_ATTEMPTS * budget_seconds:
            break
    return Timing(samples, unstable, sum(probe[-2:]) / 2)


class _Timer:
    """Runs a call in loops; the first run is the process's first."""

    def __init__(self, call: Callable[[], object], synchronize: Callable[[], None]) -> None:
        self._call, self._synchronize = call, synchronize

    def warm_up(self, seconds: float) -> list[Sample]:
        """The first call, and warm-ups until `seconds` are spent (at least one)."""
        samples = [self._run("first_call", 0, 1)]
        started = time.perf_counter()
        samples.append(self._run("warmup", 0, 1))
        while time.perf_counter() - started < seconds and len(samples) < MAXIMUM_SAMPLES:
            samples.append(self._run("warmup", len(samples) - 1, _loops(samples[-1].seconds)))
        return samples

    def sample(self, loops: int, seconds: float, attempt: int = 0) -> list[Sample]:
        """Samples until `seconds` are spent."""
        started = time.perf_counter()
        samples: list[Sample] = []
        for index in range(MAXIMUM_SAMPLES):
            if index >= MINIMUM_SAMPLES and time.perf_counter() - started >= seconds:
                break
            samples.append(self._run("sample", index, loops, attempt))
        return samples

    def _run(self, phase: str, index: int, loops: int, attempt: int = 0) -> Sample:
        call, synchronize = self._call, self._synchronize
        synchronize()
        preempted = _preempted()
        used = time.process_time()
        start = time.perf_counter()
        for _ in range(loops):
            call()
        synchronize()
        seconds = (time.perf_counter() - start) / loops
        used = (time.process_time() - used) / loops
        return Sample(phase, index, loops, seconds, used, _preempted() - preempted, attempt)


def _preempted() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _observed(samples: list[Sample]) -> Observed:
    return Observed(
        seconds=[s.seconds for s in samples],
        wall_seconds=sum(s.loops * s.seconds for s in samples),
        cpu_seconds=sum(s.loops * s.cpu_seconds for s in samples),
    )


def _loops(seconds: float) -> int:
    return max(1, round(MINIMUM_SAMPLE_SECONDS / max(seconds, 1e-9) + 0.5))
