"""Cases of one comparison take turns, round by round, and none is lost however another of them ends."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from statistics import median

import pytest

from harness import alternation
from harness.alternation import Limits, alternate
from harness.case import Case
from harness.measure import timing
from harness.measure.cores import draw_core, kept_to
from harness.measure.stability import OF_SAMPLES, Budget, Watch, Window
from harness.measure.timing import Go, Pause, alone, alternately, measuring, time_steadily
from harness.outcome import Failed, Measured, Outcome
from harness.report.pairs import Process, pair_ratio
from harness.report.summaries.throughput import CANCELLED
from tests.harness.test_supervisor import outcome_of

LIMITS = Limits(budget_seconds=0.1, max_seconds=1.0, hang_seconds=1.0)
ROUND, WANTS, DONE = Pause(), Pause(wants_again=True), Pause(wants_again=False)
MEASURED = Measured({"seconds": [1.0]}, {})


class Scripted:
    """A worker that says what its script says, and writes down who went on when, and what it was told."""

    def __init__(self, name: str, script: Sequence[Outcome | Pause], log: list[tuple[str, Go]]) -> None:
        self.name, self._script, self._log = name, iter(script), log
        self.together: str | None = None

    def begin(self, case: Case, *, together: str, **limits: float) -> Outcome | Pause:
        assert limits == vars(LIMITS)
        self.together = together
        return next(self._script)

    def go_on(self, told: Go) -> Outcome | Pause:
        self._log.append((self.name, told))
        return next(self._script)


def turns_of(
    scripts: dict[str, list[Outcome | Pause]], num_threads: int = 2
) -> tuple[dict[str, Outcome], list[tuple[str, Go]]]:
    """How each ended, and the log."""
    log: list[tuple[str, Go]] = []
    workers = {name: Scripted(name, script, log) for name, script in scripts.items()}
    cases = [Case("throughput", {"backend": name}) for name in scripts]
    ended = {
        c.backend: o for c, o, _ in alternate(cases, lambda case: workers[case.backend], LIMITS, num_threads)
    }
    assert len({worker.together for worker in workers.values()}) == 1
    return ended, log


def test_each_has_a_turn_in_every_round() -> None:
    names = ("a", "b", "c")
    ended, log = turns_of({name: [*[ROUND] * 20, DONE, MEASURED] for name in names})
    assert ended == dict.fromkeys(names, MEASURED)
    rounds = [tuple(name for name, _ in log[i : i + 3]) for i in range(0, len(log), 3)]
    assert all(sorted(one) == list(names) for one in rounds)
    assert len(set(rounds)) > 3, "the order is drawn anew for each round"


def test_an_attempt_ends_for_all_together_and_is_made_again_by_all() -> None:
    """b has fewer rounds, and is content; a is not, so both measure again, then neither."""
    _, log = turns_of(
        {
            "a": [ROUND, ROUND, ROUND, WANTS, ROUND, DONE, MEASURED],
            "b": [ROUND, DONE, ROUND, DONE, MEASURED],
        }
    )
    assert Counter(name for name, _ in log) == {"a": 6, "b": 4}
    told = [told.again for name, told in log if name == "b"]
    assert told == [False, True, False, False]
    # b waited at its end until a was at its own
    assert [name for name, _ in log][:4].count("b") <= 2


def test_what_becomes_of_one_is_no_matter_to_the_others() -> None:
    broken = Failed("worker killed by signal SIGSEGV", "")
    ended, _ = turns_of(
        {
            "dies_at_once": [broken],
            "dies_later": [ROUND, ROUND, broken],
            "lives": [*[ROUND] * 5, DONE, MEASURED],
        }
    )
    assert ended == {"dies_at_once": broken, "dies_later": broken, "lives": MEASURED}


def test_a_worker_that_pauses_for_ever_is_ended_as_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome_of("pause_for_ever", monkeypatch, hang_seconds=2.0)
    assert isinstance(found, Failed)
    assert found.reason == "no answer within 2 s: ended as hung"


def test_who_is_alone_is_in_nobodys_company() -> None:
    log: list[tuple[str, Go]] = []
    worker = Scripted("a", [ROUND, DONE, MEASURED], log)
    assert [
        o for _, o, _ in alternate([Case("throughput", {"backend": "a"})], lambda case: worker, LIMITS, 2)
    ]
    assert worker.together is None


def test_what_pairs_cancel_is_no_reason_to_measure_again(machine: Machine) -> None:
    """The machine's speed changes from call to call: told either way, and measured again without company."""
    for harmless in (OF_SAMPLES, ()):
        found = time_steadily(
            lambda: machine.work(3e-3), lambda: None, 0.1, Budget(9), harmless=harmless, watch=Quiet
        )
        assert {why.partition(":")[0] for why in found.unstable[-1]} <= set(OF_SAMPLES)
        assert found.unstable[-1]
        assert (len(found.unstable) > 1) == (not harmless)
    assert OF_SAMPLES == CANCELLED


class Quiet(Watch):
    """Nobody else is at work."""

    def end(self) -> Window:
        return Window(self._before, self._before, cores=2)


class Machine:
    """A clock that calls alone move, on a machine that halves and doubles its speed."""

    def __init__(self) -> None:
        self.now, self.slowness = 0.0, itertools.cycle([1.0] * 7 + [2.0] * 5)

    def perf_counter(self) -> float:
        return self.now

    process_time = perf_counter

    def work(self, seconds: float) -> None:
        self.now += seconds * next(self.slowness)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(timing, "time", made)
    return made


def process_of(found: timing.Timing) -> Process:
    samples = [s for s in found.samples if s.phase == "sample" and s.attempt == found.samples[-1].attempt]
    rounds = {r: [s.seconds for s in samples if s.round == r] for r in {s.round for s in samples}}
    return Process(median(s.seconds for s in samples), {r: median(v) for r, v in rounds.items()})


def test_who_has_one_thread_keeps_to_the_same_core_as_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = itertools.count()
    monkeypatch.setattr(alternation, "draw_core", lambda n: next(drawn) if n == 1 else None)
    scripts: dict[str, list[Outcome | Pause]] = {
        "a": [ROUND, ROUND, WANTS, ROUND, DONE, MEASURED],
        "b": [ROUND, ROUND, DONE, ROUND, DONE, MEASURED],
    }
    _, log = turns_of(dict(scripts), num_threads=1)
    for name in scripts:
        # two rounds, the end of the attempt, one round of the next attempt, its end
        assert [told.core for who, told in log if who == name] == [0, 0, 0, 1, 1]
    _, log = turns_of(dict(scripts), num_threads=2)
    assert {told.core for _, told in log} == {None}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_samples_are_taken_on_the_core_that_was_told() -> None:
    allowed = os.sched_getaffinity(0)
    core, seen = max(allowed), []

    def pause(at: Pause) -> Go:
        seen.append(os.sched_getaffinity(0))
        return Go(again=False, core=core)

    cores: list[set[int]] = []
    time_steadily(lambda: cores.append(os.sched_getaffinity(0)), lambda: None, 1e-3, Budget(1), Watch, pause)
    assert cores[0] == allowed, "the first call runs on any"
    assert cores[-1] == {core}
    assert all(at_pause == allowed for at_pause in seen), "and nothing is left of it afterwards"
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_a_core_that_may_not_be_used_is_left_alone() -> None:
    allowed = os.sched_getaffinity(0)
    with kept_to(max(allowed) + 4096):
        assert os.sched_getaffinity(0) == allowed
    assert draw_core(1) in ({None} if len(allowed) == 1 else allowed)
    assert draw_core(2) is None


def test_measurements_in_one_process_take_turns() -> None:
    order: list[str] = []

    def steps(name: str) -> timing.Measuring:
        return measuring(lambda: order.append(name), lambda: None, 1e-4, Budget(1))

    found = alternately(steps("a"), steps("b"))
    assert [t.samples[-1].attempt for t in found] == [found[0].samples[-1].attempt] * 2
    runs = [(name, len(list(group))) for name, group in itertools.groupby(order)]
    assert len(runs) > 2 * timing.MINIMUM_SAMPLES, "they took turns"
    assert {name for name, _ in runs} == {"a", "b"}


def test_warm_ups_between_rounds_are_kept_apart(machine: Machine) -> None:
    pauses: list[Pause] = []

    def pause(at: Pause) -> Go:
        pauses.append(at)
        return alone(at)

    found = time_steadily(lambda: machine.work(1e-3), lambda: None, 0.05, Budget(1), Watch, pause)
    last = found.samples[-1].attempt
    rounds = {s.round for s in found.samples if s.phase == "sample" and s.attempt == last}
    assert len(rounds) >= timing.MINIMUM_SAMPLES
    warm = [s.round for s in found.samples if s.phase == "warmup" and s.attempt == last]
    assert set(rounds) <= set(warm), "each round begins with a warm-up: others have used the caches"
    assert sum(p.wants_again is None for p in pauses) == sum(
        len({s.round for s in found.samples if s.phase == "sample" and s.attempt == a})
        for a in range(last + 1)
    )


def test_a_long_call_is_a_round_of_its_own_without_warm_up(machine: Machine) -> None:
    found = time_steadily(lambda: machine.work(0.5), lambda: None, 0.05, Budget(1))
    sampled = [s for s in found.samples if s.phase == "sample"]
    assert [s.round for s in sampled] == list(range(timing.MINIMUM_SAMPLES))
    assert sum(s.phase == "warmup" for s in found.samples) == 1


def test_pairs_see_through_a_machine_that_changes_its_speed() -> None:
    """One has a tenth more to do; the machine is twice as slow in every other round."""
    fast = Process(1.0, {r: 1.0 + r % 2 for r in range(9)})
    slow = Process(2.2, {r: 1.1 * (1.0 + r % 2) for r in range(9)})
    assert pair_ratio(slow, fast) == pytest.approx(1.1)
