"""Was the machine quiet while samples were taken?  Facts about the window, and the rule for each.

    load         other processes kept more than 5 % of the allowed cores busy (/proc/stat less our own time
                 and that of those who are measured in turn with us)
    steal        the hypervisor took more than 2 % of the allowed cores
    waiting      our threads with work stood in the queue for a core for more than 5 % of the time (schedstat)
                 and other processes or the hypervisor can be to blame for so much: threads that stand behind
                 each other are how the work runs, and a fact of it (:func:`waited_share`)
    throttled    the control group's quota, or heat, stopped the cores; or their clock fell by more than 10 %
    threads      our own processor time over wall time is above the thread budget
    foreign      another process computes on the device (NVML)
    drift        the second half of the samples differs from the first by more than 5 %, and not by chance
    spread       the middle half of the samples spans more than 10 % of their median

What this system does not tell is no reason.  Nothing is ever dropped for any of these: the samples are
flagged, shown, and measured again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.measure.counters import TICK_SECONDS, Counters, Spent, read_counters, spent_by_threads

LOAD_SHARE = 0.05
STEAL_SHARE = 0.02
WAITING_SHARE = 0.05
WORKED_SHARE = 0.1
"""Of the time, that a thread has to run in order to count as one with work.  Threads that a stopped process
wakes to no purpose stand in the queue as well, and nobody waits for them."""
CLOCK_DROP = 0.10
THREADS_SLACK = 0.10
DRIFT = 0.05
DRIFT_SIGMAS = 3.0
SPREAD = 0.10

OF_SAMPLES = ("drift", "spread")
"""Kinds that are of the samples alone: who takes turns meets them alike, and ratios cancel them."""

PROBE_STEPS = 20_000
"""About a millisecond of Python."""

_TICKS_OF_DOUBT = 1
"""The kernel counts whole ticks, per core: so many may be wrong at either end."""


@dataclass(frozen=True)
class Budget:
    """What a measurement may use: `num_threads` threads, on `device` ("cpu", or one with its own memory)."""

    num_threads: int
    device: str = "cpu"


@dataclass(frozen=True)
class Observed:
    """Samples of one attempt: `seconds` of a call in order; wall and processor seconds of all together."""

    seconds: Sequence[float]
    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Window:
    """Counters before and after, on `cores` allowed cores; `foreign`: who else computes on the device;
    `waited_seconds`: of all our threads with work, in the queue for a core while samples were taken, or None
    where the system does not say."""

    before: Counters
    after: Counters
    cores: int
    foreign: Sequence[str] = field(default_factory=tuple)
    waited_seconds: float | None = None


class Watch:
    """Looks at the machine when it is made, and again at the end.

    Args:
        root: the process that, with all its descendants, is ours; this one by default.
    """

    def __init__(self, budget: Budget, root: int | None = None) -> None:
        self._budget = budget
        self._root = os.getpid() if root is None else root
        self._waited: float | None = None
        self._since = 0.0
        self._queued: dict[str, Spent] = {}
        self._before = read_counters(self._root)

    def resume(self) -> None:
        """Samples are about to be taken."""
        self._since, self._queued = time.monotonic(), spent_by_threads()

    def rest(self) -> None:
        """Others may have their turn: until the next samples it is no loss to wait."""
        worth = WORKED_SHARE * (time.monotonic() - self._since)
        waited = [
            spent.waiting - before.waiting
            for thread, spent in spent_by_threads().items()
            if spent.running - (before := self._queued.get(thread, Spent())).running > worth
        ]
        if waited:
            self._waited = (self._waited or 0.0) + sum(waited)

    def end(self) -> Window:
        from harness.measure.foreign import foreign_processes

        foreign = () if self._budget.device == "cpu" else foreign_processes()
        cores = len(os.sched_getaffinity(0))
        return Window(self._before, read_counters(self._root), cores, foreign, self._waited)


def waited_share(window: Window, observed: Observed, budget: Budget) -> float | None:
    """For how much of the time of its threads the work stood in the queue for a core, whoever was before it;
    None where the system does not say."""
    if window.waited_seconds is None:
        return None
    return window.waited_seconds / max(budget.num_threads * observed.wall_seconds, 1e-9)


def why_unstable(window: Window, observed: Observed, budget: Budget) -> Iterator[str]:
    """Each reason not to trust the samples, in words with the number that it rests on."""
    yield from _machine(window, budget, observed.wall_seconds)
    yield from _threads(observed, budget)
    if window.foreign:
        yield f"foreign: {', '.join(window.foreign)} on the device"
    yield from _samples(np.asarray(observed.seconds, dtype=float))


def _machine(window: Window, budget: Budget, at_work: float) -> Iterator[str]:
    """`at_work`: seconds of the window in which we were at work; in the rest, others had their turn."""
    before, after = window.before, window.after
    wall = max(after.monotonic - before.monotonic, 1e-9)
    at_work = min(at_work, wall)
    capacity = window.cores * wall
    doubt = _TICKS_OF_DOUBT * TICK_SECONDS * window.cores
    others = stolen = np.inf  # as long as the system does not say
    if (busy := _change(before.busy_seconds, after.busy_seconds)) is not None:
        others = busy - (after.own_seconds - before.own_seconds)
        if others - doubt > LOAD_SHARE * capacity:
            yield f"load: others used {others / wall:.2f} of {window.cores} cores"
    if (steal := _change(before.steal_seconds, after.steal_seconds)) is not None:
        stolen = steal
        if stolen - doubt / 2 > STEAL_SHARE * capacity:
            yield f"steal: the hypervisor took {stolen / capacity:.0%} of the cores"
    if window.waited_seconds is not None:
        blamed = min(window.waited_seconds, max(others - doubt, 0.0) + stolen)
        share = blamed / max(budget.num_threads * at_work, 1e-9)
        if share > WAITING_SHARE:
            yield f"waiting: threads stood {share:.0%} of the time in the queue behind others"
    if _change(before.quota_events, after.quota_events):
        yield "throttled: the control group's quota was used up"
    if _change(before.heat_events, after.heat_events):
        yield "throttled: a core was slowed for heat"
    then, now = before.clock_hertz, after.clock_hertz
    if then and now and now < (1 - CLOCK_DROP) * then:
        yield f"throttled: the clock fell from {then / 1e6:.0f} to {now / 1e6:.0f} MHz"


def _threads(observed: Observed, budget: Budget) -> Iterator[str]:
    used = observed.cpu_seconds / max(observed.wall_seconds, 1e-9)
    if budget.device == "cpu" and used > (1 + THREADS_SLACK) * budget.num_threads:
        yield f"threads: {used:.2f} cores in use, the budget is {budget.num_threads}"


def _samples(seconds: np.ndarray) -> Iterator[str]:
    if len(seconds) < 2:
        return
    half = len(seconds) // 2
    first, second = seconds[:half], seconds[-half:]
    change = float(np.median(second) / np.median(first)) - 1
    if abs(np.log1p(change)) > np.log1p(DRIFT) and _differ(first, second):
        yield f"drift: {change:+.0%} from the first half of the samples to the second"
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    if high - low > SPREAD * middle:
        yield f"spread: the middle half of the samples spans {(high - low) / middle:.0%} of their median"


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Mann and Whitney's rank test (1947), by its normal approximation."""
    n, m = len(first), len(second)
    wins = float((first[:, None] > second).sum() + 0.5 * (first[:, None] == second).sum())
    return bool(abs(wins - n * m / 2) > DRIFT_SIGMAS * np.sqrt(n * m * (n + m + 1) / 12))


def probe_seconds() -> float:
    """How long a fixed piece of work takes, at best of three.

    A virtual machine may run at half its speed because of its neighbours, and no counter within it says so;
    the same additions and multiplications, timed beside every case, do.
    """
    return min(_fixed_work() for _ in range(3))


def _fixed_work() -> float:
    started, x = time.perf_counter(), 1.0
    for _ in range(PROBE_STEPS):
        x = x * 1.0000001 + 1e-9
    return time.perf_counter() - started


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
