"""Timing one call: the first apart, warm-ups apart, every sample kept in order, loops fitted to the clock.

The clock is `time.perf_counter`, which is monotonic: a wall clock that is set while a call runs changes
nothing.  Samples come in rounds of a few milliseconds, so that whoever compares several calls can let them
take turns, round by round: a machine that changes its speed then changes it for all of them.  Samples that
something disturbed are measured again within a bounded budget, and kept: an attempt adds samples, it takes
none away.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from harness.measure.cores import draw_core, kept_to
from harness.measure.stability import Budget, Observed, Watch, probe_seconds, waited_share, why_unstable

MINIMUM_SAMPLE_SECONDS = 2e-3
"""One sample repeats the call until it lasts at least this long: far above the clock's step and cost."""
MINIMUM_SAMPLES = 5
MAXIMUM_SAMPLES = 100
MAXIMUM_ATTEMPTS = 3
"""How often a case is sampled at the most; together no longer than this many times its budget."""
ROUND_SECONDS = 4e-3
"""How long a round samples.  Others have used the caches before it: a shorter call warms them first; a longer
one makes a round of one sample, of which that is a small share."""
MAXIMUM_ROUNDS = 50


@dataclass(frozen=True)
class Sample:
    """`loops` calls in a row; `seconds` is the mean of one by the clock, `cpu_seconds` that of all threads of
    this process together.  `preempted` counts how often a thread was put off its core meanwhile.
    `attempt` is 0, or higher where the case was sampled again; `round` counts from 0 within it."""

    phase: str
    index: int
    loops: int
    seconds: float
    cpu_seconds: float
    preempted: int
    attempt: int = 0
    round: int = 0


@dataclass(frozen=True)
class Timing:
    """Args:
    samples: all of all attempts, in order.  The last attempt is the one to read: it is the first that
        nothing disturbed, or there was no time for another.
    unstable: what disturbed each attempt, by attempt; an empty tuple where nothing did.
    probe_seconds: of a fixed piece of work, before and after the last attempt, the mean of both.
    waited_share: of the threads' time in the last attempt, in the queue for a core; None where unknown.
    """

    samples: list[Sample]
    unstable: list[tuple[str, ...]]
    probe_seconds: float
    waited_share: float | None = None


@dataclass(frozen=True)
class Pause:
    """A measurement stands still and may be left alone for a while.

    Args:
        wants_again: None before a round; at the end of an attempt, whether there is reason and time for
            another.
    """

    wants_again: bool | None = None


@dataclass(frozen=True)
class Go:
    """What a measurement that stood still is told.

    Args:
        again: at the end of an attempt, whether to measure again.
        core: for a round, the one to keep to; None: any.
    """

    again: bool = False
    core: int | None = None


def alone(at: Pause) -> Go:
    """What it is told that takes turns with nobody."""
    return Go(again=bool(at.wants_again))


Measuring = Generator[Pause, Go, Timing]
"""A measurement in steps."""


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
    pause: Callable[[Pause], Go] = alone,
    harmless: Sequence[str] = (),
) -> Timing:
    """The same in rounds, and again while something disturbs the samples and the time allows it.

    Args:
        budget: what the samples may use: threads, device.
        watch: what looks at the machine meanwhile.
        pause: called at every pause.  By default nobody else has a turn.
        harmless: kinds of disturbance that are told, and are no reason to measure again.
    """
    return driven(measuring(call, synchronize, budget_seconds, budget, watch, harmless), pause)


def driven(steps: Measuring, pause: Callable[[Pause], Go]) -> Timing:
    """Let a measurement go on to its end."""
    try:
        at = next(steps)
        while True:
            at = steps.send(pause(at))
    except StopIteration as end:
        found: Timing = end.value
        return found


def alternately(*measurements: Measuring) -> list[Timing]:
    """Several measurements in one thread, round by round in turn, to their ends."""
    found: list[Timing | None] = [None] * len(measurements)
    core = draw_core(1)
    at = [next(steps) for steps in measurements]
    while any(timing is None for timing in found):
        ended = all(pause.wants_again is not None for pause, t in zip(at, found, strict=True) if t is None)
        again = any(pause.wants_again for pause in at)
        for i, steps in enumerate(measurements):
            if found[i] is None and (ended or at[i].wants_again is None):
                try:
                    at[i] = steps.send(Go(again, core))
                except StopIteration as end:
                    found[i], at[i] = end.value, Pause(wants_again=False)
    return [timing for timing in found if timing is not None]


def measuring(
    call: Callable[[], object],
    synchronize: Callable[[], None],
    budget_seconds: float,
    budget: Budget,
    watch: Callable[[Budget], Watch] = Watch,
    harmless: Sequence[str] = (),
) -> Measuring:
    """The steps of :func:`time_steadily`.

    Another attempt has time where the attempts so far, and one more like the last, take no longer than
    MAXIMUM_ATTEMPTS times `budget_seconds`, pauses apart.
    """
    timer = _Timer(call, synchronize)
    samples = timer.warm_up(0.2 * budget_seconds)
    one = samples[-1].seconds
    unstable: list[tuple[str, ...]] = []
    spent, probe = 0.0, [probe_seconds()]
    for attempt in range(MAXIMUM_ATTEMPTS):
        watching = watch(budget)
        found = yield from timer.rounds(one, 0.8 * budget_seconds, attempt, watching)
        took = sum(sample.loops * sample.seconds for sample in found)
        samples += found
        read = [sample for sample in found if sample.phase == "sample"]
        window, observed = watching.end(), _observed(read)
        unstable.append(tuple(why_unstable(window, observed, budget)))
        spent += took
        probe.append(probe_seconds())
        possible = attempt + 1 < MAXIMUM_ATTEMPTS and spent + took <= MAXIMUM_ATTEMPTS * budget_seconds
        reasons = [why for why in unstable[-1] if why.partition(":")[0] not in harmless]
        told = yield Pause(wants_again=possible and bool(reasons))
        if not (told.again and possible):
            break
    return Timing(samples, unstable, sum(probe[-2:]) / 2, waited_share(window, observed, budget))


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

    def sample(self, loops: int, seconds: float) -> list[Sample]:
        """Samples until `seconds` are spent."""
        started = time.perf_counter()
        samples: list[Sample] = []
        for index in range(MAXIMUM_SAMPLES):
            if index >= MINIMUM_SAMPLES and time.perf_counter() - started >= seconds:
                break
            samples.append(self._run("sample", index, loops))
        return samples

    def rounds(
        self, one: float, seconds: float, attempt: int, watching: Watch
    ) -> Generator[Pause, Go, list[Sample]]:
        """Rounds of samples, a pause before each: as many as fit into `seconds`, but MINIMUM_SAMPLES at the
        least and MAXIMUM_ROUNDS at the most.

        Calls of one length make as many rounds as each other, whatever the clock says meanwhile.

        Args:
            one: about how long one call takes.
        """
        loops = _loops(one)
        lasts = max(loops * one, 1e-9)
        count = max(1, min(MAXIMUM_SAMPLES // MAXIMUM_ROUNDS, int(ROUND_SECONDS / lasts)))
        warming = max(1, loops // 4) if one < ROUND_SECONDS else 0
        fitting = int(seconds / (warming * one + count * lasts + 1e-9))
        rounds = max(MINIMUM_SAMPLES, min(MAXIMUM_ROUNDS, fitting))
        samples: list[Sample] = []
        for number in range(rounds):
            told = yield Pause()
            with kept_to(told.core):
                if warming:
                    samples.append(self._run("warmup", number, warming, attempt, number))
                watching.resume()
                for index in range(number * count, (number + 1) * count):
                    samples.append(self._run("sample", index, loops, attempt, number))
                watching.rest()
        return samples

    def _run(self, phase: str, index: int, loops: int, attempt: int = 0, number: int = 0) -> Sample:
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
        return Sample(phase, index, loops, seconds, used, _preempted() - preempted, attempt, number)


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
