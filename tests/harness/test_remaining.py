"""What is left of a run, foretold and corrected; and how it is shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.case import Case
from harness.folder import create_run
from harness.outcome import Measured, Unsupported
from harness.plan_file import load_plan
from harness.progress import Terminal
from harness.remaining import Remaining

MEASURED = Measured({}, {})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def cases(study: str, number: int) -> list[Case]:
    return [Case(study, {"backend": "numpy", "number": i}) for i in range(number)]


def remaining(
    clock: Clock, foretold: dict[str, tuple[list[Case], float]], afterwards: float = 0
) -> Remaining:
    made = Remaining(
        {case.key: seconds for listed, seconds in foretold.values() for case in listed}, afterwards, clock
    )
    for listed, _ in foretold.values():
        for case in listed:
            made.expect(case)
    return made


def run(made: Remaining, clock: Clock, listed: list[Case], seconds: float) -> None:
    for case in listed:
        made.start()
        clock.now += seconds
        made.finish(case)


def test_nothing_is_said_before_anything_is_known() -> None:
    clock = Clock()
    assert remaining(clock, {"a": (cases("a", 3), 1.0)}).seconds is None
    assert Remaining({}, clock=clock).seconds is None


@pytest.mark.parametrize("slowness", [0.3, 1.0, 4.0])
def test_the_forecast_is_corrected_by_what_was_taken(slowness: float) -> None:
    clock, listed = Clock(), cases("a", 100)
    made = remaining(clock, {"a": (listed, 2.0)}, afterwards=10.0)
    run(made, clock, listed[:20], 2.0 * slowness)
    assert made.seconds == pytest.approx((80 * 2.0 + 10.0) * slowness)
    run(made, clock, listed[20:], 2.0 * slowness)
    assert made.seconds == pytest.approx(10.0 * slowness)


def test_each_study_has_a_pace_of_its_own() -> None:
    """Cases of b take ten times what was foretold; once seen, that is not held against those of a."""
    clock, a, b = Clock(), cases("a", 200), cases("b", 100)
    made = remaining(clock, {"a": (a, 1.0), "b": (b, 1.0)})
    run(made, clock, a[:100], 1.0)
    assert made.seconds == pytest.approx(200.0)
    run(made, clock, b[:60], 10.0)
    assert made.seconds == pytest.approx(100 * 1.0 + 40 * 10.0, rel=0.15)


def test_one_slow_case_does_not_make_a_forecast() -> None:
    clock, a, b = Clock(), cases("a", 1000), cases("b", 1000)
    made = remaining(clock, {"a": (a, 0.01), "b": (b, 0.01)})
    run(made, clock, a[:500], 0.01)
    run(made, clock, b[:1], 1.0)  # its worker had to start
    assert made.seconds is not None
    assert made.seconds < 25.0  # and not 999 s


def test_what_the_first_case_compiles_is_not_expected_of_all() -> None:
    clock, listed = Clock(), cases("a", 1000)
    made = remaining(clock, {"a": (listed, 1.0)})
    run(made, clock, listed[:1], 200.0)
    assert made.seconds is not None
    assert 1000.0 < made.seconds < 6000.0  # and not 199 800
    run(made, clock, listed[1:300], 1.0)
    assert made.seconds == pytest.approx(700 * 499 / 300, rel=0.02)


def test_cases_side_by_side_share_the_time_that_goes_by() -> None:
    """Four at once, as on a cluster: a quarter of the time."""
    clock, listed = Clock(), cases("a", 100)
    made = remaining(clock, {"a": (listed, 4.0)})
    for i in range(0, 40, 4):
        made.start()
        clock.now += 4.0
        for case in listed[i : i + 4]:
            made.finish(case)
    assert made.seconds == pytest.approx(60.0)


def test_waiting_for_another_run_is_not_held_against_the_cases() -> None:
    clock, listed = Clock(), cases("a", 10)
    made = remaining(clock, {"a": (listed, 1.0)})
    run(made, clock, listed[:4], 1.0)
    made.wait()
    clock.now += 1000.0
    run(made, clock, listed[4:5], 1.0)
    assert made.seconds == pytest.approx(5.0)


def test_a_run_knows_its_rest(tmp_path: Path) -> None:
    plan = load_plan("quick").select(["throughput"], {}, ["numpy", "naive"], None)
    made = Remaining.of(create_run(tmp_path, plan, {}, ""))
    listed = plan.cases()
    assert made.seconds is None
    made.start()
    made.finish(listed[0])
    assert made.seconds is not None
    assert Remaining.of(create_run(tmp_path / "x", plan, {}, "")).seconds is None


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_shown_in_a_bar_and_in_lines(terminal: bool) -> None:
    clock, listed = Clock(), cases("a", 3)
    made = remaining(clock, {"a": (listed, 60.0)})
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=150, color_system=None)
    with Terminal(console, made) as shown:
        shown.begin(3, 0)
        shown.start(listed[0])
        clock.now += 90.0
        shown.finish(listed[0], MEASURED)
    assert "about 3 min 0 s left" in out.getvalue()
    assert ("1/3, about 3 min 0 s left, measured: a " in out.getvalue()) != terminal


def test_a_line_says_why_a_case_is_unsupported() -> None:
    clock, listed = Clock(), cases("a", 1)
    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=150, color_system=None)
    with Terminal(console, remaining(clock, {"a": (listed, 1.0)})) as shown:
        shown.begin(1, 0)
        shown.start(listed[0])
        shown.finish(listed[0], Unsupported("no such module"))
    assert out.getvalue().rstrip().endswith(": no such module")
