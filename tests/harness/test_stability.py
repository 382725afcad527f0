"""What disturbs samples is seen, named, measured again, and nothing of it is thrown away."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest

from harness.measure import stability, timing
from harness.measure.counters import Counters, Spent, read_counters
from harness.measure.stability import Budget, Observed, Watch, Window, waited_share, why_unstable
from harness.measure.timing import MAXIMUM_ATTEMPTS, MINIMUM_SAMPLES, time_calls, time_steadily

TWO = Budget(2)
BEFORE = Counters(
    monotonic=100.0,
    own_seconds=5.0,
    busy_seconds=50.0,
    steal_seconds=0.0,
    quota_events=0,
    heat_events=3,
    clock_hertz=3e9,
)
QUIET = replace(BEFORE, monotonic=101.0, own_seconds=7.0, busy_seconds=52.0)
STEADY = Observed([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01], 8.01, 16.0)


def reasons(after: Counters = QUIET, observed: Observed = STEADY, **window: object) -> list[str]:
    return list(why_unstable(Window(BEFORE, after, cores=2, **window), observed, TWO))


def kinds(found: list[str]) -> list[str]:
    return [reason.partition(":")[0] for reason in found]


def test_a_quiet_machine_gives_no_reason() -> None:
    assert reasons() == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"busy_seconds": 52.5}, "load"),
        ({"steal_seconds": 0.2}, "steal"),
        ({"quota_events": 1}, "throttled"),
        ({"heat_events": 4}, "throttled"),
        ({"clock_hertz": 2e9}, "throttled"),
    ],
)
def test_what_the_machine_counts_is_named(change: dict[str, float], kind: str) -> None:
    assert kinds(reasons(replace(QUIET, **change))) == [kind]


@pytest.mark.parametrize(
    "change",
    [
        {"busy_seconds": 52.03},  # a few ticks of doubt
        {"busy_seconds": 60.0, "own_seconds": 15.0},  # all of it our own
        {"clock_hertz": 3.2e9},
        {"heat_events": 3},
    ],
)
def test_what_is_small_or_our_own_is_no_reason(change: dict[str, float]) -> None:
    assert reasons(replace(QUIET, **change)) == []


def test_threads_that_stand_in_the_queue_are_named() -> None:
    assert kinds(reasons(replace(QUIET, busy_seconds=53.0), waited_seconds=0.9)) == ["load", "waiting"]
    assert kinds(reasons(replace(QUIET, busy_seconds=53.0), waited_seconds=0.05)) == ["load"]


def test_threads_behind_each_other_are_a_fact_and_no_disturbance() -> None:
    window = Window(BEFORE, QUIET, cores=2, waited_seconds=0.9)
    assert list(why_unstable(window, STEADY, TWO)) == []
    assert waited_share(window, STEADY, TWO) == pytest.approx(0.9 / (2 * STEADY.wall_seconds))
    assert waited_share(replace(window, waited_seconds=None), STEADY, TWO) is None


def test_where_the_system_does_not_say_who_was_at_work_any_waiting_is_named() -> None:
    silent = Counters(monotonic=100.0, own_seconds=0.0)
    window = Window(silent, replace(silent, monotonic=101.0), cores=2, waited_seconds=0.2)
    assert kinds(list(why_unstable(window, STEADY, TWO))) == ["waiting"]


def test_only_threads_with_work_count_among_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was merely woken keeps nobody waiting, however long it stands in the queue."""
    seen = iter([{"1": (5.0, 1.0), "2": (0.1, 0.0)}, {"1": (5.9, 1.3), "2": (0.1, 0.8), "3": (0.9, 0.1)}])
    clock = iter([10.0, 11.0])
    monkeypatch.setattr(stability, "read_counters", lambda root: BEFORE)
    monkeypatch.setattr(stability.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(
        stability,
        "spent_by_threads",
        lambda: {thread: Spent(*spent) for thread, spent in next(seen).items()},
    )
    watch = Watch(TWO)
    watch.resume()
    watch.rest()
    assert watch.end().waited_seconds == pytest.approx(0.3 + 0.1)


def test_what_the_system_does_not_tell_is_no_reason() -> None:
    silent = Counters(monotonic=100.0, own_seconds=0.0)
    window = Window(silent, replace(silent, monotonic=101.0), cores=2)
    assert list(why_unstable(window, STEADY, TWO)) == []


def test_the_number_that_a_reason_rests_on_stands_in_it() -> None:
    assert reasons(replace(QUIET, busy_seconds=52.5)) == ["load: others used 0.50 of 2 cores"]


def test_more_cores_in_use_than_the_budget() -> None:
    assert kinds(reasons(observed=replace(STEADY, cpu_seconds=3 * 8.01))) == ["threads"]
    assert reasons(observed=replace(STEADY, cpu_seconds=1.9 * 8.01)) == []


def test_somebody_else_on_the_device() -> None:
    assert reasons(foreign=("process 4711",)) == ["foreign: process 4711 on the device"]


def test_drift_is_seen_and_told_apart_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = 1 + 0.02 * rng.standard_normal(40)
    drifting = noise * np.linspace(1.0, 1.15, 40)
    assert "drift" in kinds(reasons(observed=replace(STEADY, seconds=drifting)))
    assert reasons(observed=replace(STEADY, seconds=noise)) == []


def test_spread_is_seen_and_one_outlier_is_not_spread() -> None:
    wide = [1.0, 1.5, 1.0, 1.4, 1.1, 1.6, 1.0, 1.5]
    assert kinds(reasons(observed=replace(STEADY, seconds=wide))) == ["spread"]
    assert reasons(observed=replace(STEADY, seconds=[1.0] * 9 + [50.0])) == []


def test_a_real_load_is_seen() -> None:
    """A process beside us that spins is somebody else's, and so it is counted."""
    spin = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    # a grandchild whose parent has ended is none of ours
    launch = (
        "import subprocess, sys; none = subprocess.DEVNULL; "
        f"print(subprocess.Popen([sys.executable, '-c', {spin!r}], stdout=none, stderr=none).pid)"
    )
    found = subprocess.run([sys.executable, "-c", launch], capture_output=True, text=True, check=True)
    other = psutil.Process(int(found.stdout))
    try:
        before = read_counters()
        if before.busy_seconds is None:
            pytest.skip("this system counts no processor time")
        while sum(other.cpu_times()[:2]) < 0.5:
            time.sleep(0.05)
        after = read_counters()
        assert after.busy_seconds is not None
        others = (after.busy_seconds - before.busy_seconds) - (after.own_seconds - before.own_seconds)
        assert others > 0.4
        loaded = Window(BEFORE, replace(QUIET, busy_seconds=52.0 + others), cores=2)
        assert kinds(list(why_unstable(loaded, STEADY, TWO))) == ["load"]
    finally:
        other.kill()


def test_our_own_children_are_no_load() -> None:
    spin = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as child:
        try:
            before = read_counters()
            spinning = psutil.Process(child.pid)
            while sum(spinning.cpu_times()[:2]) < 0.5:
                time.sleep(0.02)
            own = read_counters().own_seconds - before.own_seconds
            assert own > 0.4
            busy = replace(QUIET, busy_seconds=52.0 + own, own_seconds=7.0 + own)
            assert kinds(list(why_unstable(Window(BEFORE, busy, cores=2), STEADY, TWO))) == []
        finally:
            child.kill()


def watch(*windows: Counters) -> Callable[[Budget], Watch]:
    """A machine that behaves as told, attempt after attempt."""
    left: Iterator[Counters] = itertools.chain(windows, itertools.repeat(windows[-1]))

    class Told(Watch):
        def __init__(self, budget: Budget) -> None:
            pass

        def resume(self) -> None:
            pass

        rest = resume

        def end(self) -> Window:
            return Window(BEFORE, next(left), cores=2)

    return Told


def spin(seconds: float) -> Callable[[], None]:
    def call() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    return call


LOADED = replace(QUIET, busy_seconds=52.9)


class Clock:
    """Time passes in calls alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    process_time = perf_counter

    def lasting(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of its own, so that nothing depends on the machine that runs this test."""
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


def test_disturbed_samples_are_taken_again_and_kept(clock: Clock) -> None:
    found = time_steadily(clock.lasting(1e-3), lambda: None, 0.05, TWO, watch(LOADED, QUIET))
    assert [bool(why) for why in found.unstable] == [True, False]
    assert not found.unstable[-1]
    for attempt in (0, 1):
        indices = [s.index for s in found.samples if s.phase == "sample" and s.attempt == attempt]
        assert indices == list(range(len(indices)))
        assert len(indices) >= MINIMUM_SAMPLES


def test_attempts_are_bounded_and_the_last_says_that_it_is_unstable(clock: Clock) -> None:
    found = time_steadily(clock.lasting(1e-3), lambda: None, 0.05, TWO, watch(LOADED))
    assert len(found.unstable) == MAXIMUM_ATTEMPTS
    assert found.unstable[-1]
    assert {s.attempt for s in found.samples if s.phase == "sample"} == set(range(MAXIMUM_ATTEMPTS))


def test_a_call_that_is_slow_for_its_budget_is_not_begun_again(clock: Clock) -> None:
    found = time_steadily(clock.lasting(0.02), lambda: None, 0.01, TWO, watch(LOADED))
    assert len(found.unstable) == 1
    assert found.unstable[-1]


def test_a_quiet_machine_is_asked_once(clock: Clock) -> None:
    found = time_steadily(clock.lasting(1e-3), lambda: None, 0.05, TWO, watch(QUIET))
    assert found.unstable == [()]


def test_no_sample_is_dropped_however_far_off() -> None:
    pauses = itertools.chain([0.0] * 4, [0.05], itertools.repeat(0.0))
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        spin(2.1e-3 + next(pauses))()

    samples = time_calls(call, lambda: None, 0.05)
    assert calls == sum(s.loops for s in samples)
    assert max(s.seconds * s.loops for s in samples) > 0.05


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock runs backwards, a day per look; the samples stay what they are."""
    days = itertools.count(10_000, -1)
    monkeypatch.setattr(time, "time", lambda: next(days) * 86400.0)
    monkeypatch.setattr(time, "time_ns", lambda: next(days) * 86400 * 10**9)
    found = time_steadily(spin(1e-3), lambda: None, 0.03, TWO)
    assert all(1e-3 <= s.seconds < 10 for s in found.samples)
    assert next(days) == 10_000  # nobody has looked at it


def test_processor_time_tells_sleep_from_work() -> None:
    slept = time_calls(lambda: time.sleep(5e-3), lambda: None, 0.05)
    worked = time_calls(spin(5e-3), lambda: None, 0.05)
    assert sum(s.cpu_seconds for s in slept) < 0.5 * sum(s.seconds for s in slept)
    assert sum(s.cpu_seconds for s in worked) > 3 * sum(s.cpu_seconds for s in slept)


def test_the_probe_is_the_same_work_every_time(clock: Clock) -> None:
    found = time_steadily(clock.lasting(1e-3), lambda: None, 0.05, TWO, watch(QUIET))
    assert 1e-5 < found.probe_seconds < 1.0
