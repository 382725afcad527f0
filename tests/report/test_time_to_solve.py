"""What is said of trainings on several backends is what the clock said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.statistics import estimate
from harness.report.summaries.time_to_solve import ratios, times_to_solve
from tests.report.synthetic import Item, write_run


def training(
    backend: str, *, solved_at: int | None, step_seconds: float, off: float = 0.0, seed: int = 0
) -> Item:
    steps = solved_at or 300
    axes = {
        "backend": backend, "task": "adding", "cell": "lstm", "seq_len": 100, "hidden_size": 100,
        "seed": seed,
    }  # fmt: skip
    rows = [("step", n, 0.4 / n * (1.0 + off * n), None) for n in range(1, 21)]
    rows += [("score", n, 2.0 / n, n * step_seconds) for n in range(50, steps + 1, 50)]
    names = ("quantity", "step", "loss", "seconds")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    facts = {
        "baseline": 1 / 6, "criterion": "mean squared error below 0.01", "solved": solved_at is not None,
        "solved_at_step": solved_at, "steps_done": steps, "training_seconds": steps * step_seconds,
        "checking_seconds": 2.0, "relative_error": 2e-6 if backend == "numba" else 1e-6,
    }  # fmt: skip
    return Case("time_to_solve", axes), Measured(columns, facts)


def test_the_fastest_comes_first_and_the_others_beside_it(tmp_path: Path) -> None:
    items = [
        training("torch", solved_at=250, step_seconds=0.4, off=1e-6),
        training("numba", solved_at=200, step_seconds=0.2),
        training("jax", solved_at=None, step_seconds=0.5),
    ]
    folder = write_run(tmp_path / "run", items)
    found = SECTIONS["time_to_solve"].answer(Run.read(folder))
    assert found is not None
    assert found.sentence == (
        "On the task adding (lstm, T=100, H=100, seed 0): numba solved it in 40 s (200 steps); torch took "
        "2.5× as long, 1 min 40 s (250 steps); jax had not after 2 min 30 s."
    )
    # of the first ten steps, at the tenth
    assert found.details == (
        "Before its training a pass of each was held against the float64 reference: relative error at most "
        "2.0·10⁻⁶.",
        "In the first 10 steps the losses of all backends agree to 1.0·10⁻⁵ of their value.",
    )
    assert found.table is not None
    rows = {row[2]: row for row in found.table.rows}
    assert rows["numba"][3:9] == ("yes", "200", "200", "40 s", "42 s", "1.0×")
    assert rows["torch"][3:9] == ("yes", "250", "400", "1 min 40 s", "1 min 42 s", "2.5×")
    assert rows["jax"][3:5] == ("no", "–")
    assert rows["jax"][8] == "–"
    write_report(folder)
    assert (folder / "figures" / "time_to_solve.png").stat().st_size > 10_000


def test_losses_that_part_at_once_are_seen(tmp_path: Path) -> None:
    items = [
        training("numba", solved_at=200, step_seconds=0.2),
        training("torch", solved_at=200, step_seconds=0.4, off=0.05),
    ]
    found = times_to_solve(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    rows = found.backends.set_index("backend")
    assert rows["early_difference"]["torch"] == pytest.approx(0.5)
    assert rows["early_difference"]["numba"] == 0.0


def test_ratios_are_paired_by_seed(tmp_path: Path) -> None:
    """Numba's steps take a half of torch's; torch needs as many, or half as many again."""
    items = [
        training(backend, solved_at=steps, step_seconds=seconds * (1 + seed), seed=seed)
        for backend, seconds, needed in (("torch", 0.4, (200, 300, 200)), ("numba", 0.2, (200, 200, 200)))
        for seed, steps in enumerate(needed)
    ]
    run = Run.read(write_run(tmp_path / "run", items))
    found = times_to_solve(run)
    assert found is not None
    (ratio,) = ratios(found)
    assert (ratio.backend, ratio.to) == ("torch", "numba")
    assert ratio.step is not None
    assert ratio.whole is not None
    assert (ratio.step.value, ratio.step.low, ratio.step.high) == pytest.approx((2.0, 2.0, 2.0))
    expected = estimate([2.0, 3.0, 2.0])
    assert (ratio.whole.value, ratio.whole.low, ratio.whole.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    answer = SECTIONS["time_to_solve"].answer(run)
    assert answer is not None
    assert answer.sentence == (
        "On the task adding (lstm, T=100, H=100): torch took 2.3× [1.3×, 4.1×] as long as numba to solve it, "
        "2.0× [2.0×, 2.0×] as long per step (3 seeds)."
    )
    assert len(answer.details) == 3 + 2


@pytest.mark.parametrize(
    ("torch_steps", "said"),
    [
        ((0.3, 0.15), ", no difference shown: torch took 1.1× ["),  # 1.5 and 0.75 times as long
        ((0.4, 0.4), "): torch took 2.0× [2.0×, 2.0×] as long as numba to solve it, 2.0× [2.0×, 2.0×] as"),
    ],
)
def test_an_interval_that_holds_one_shows_no_difference(
    tmp_path: Path, torch_steps: tuple[float, float], said: str
) -> None:
    items = [
        training(backend, solved_at=200, step_seconds=seconds, seed=seed)
        for backend, of_seeds in (("torch", torch_steps), ("numba", (0.2, 0.2)))
        for seed, seconds in enumerate(of_seeds)
    ]
    found = SECTIONS["time_to_solve"].answer(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    assert said in found.sentence
    assert found.sentence.count("no difference shown") == said.count("no difference shown")


def test_one_of_two_intervals_may_hold_one(tmp_path: Path) -> None:
    """Torch's steps take twice as long, and it needs a half or the same number of them."""
    items = [
        training(backend, solved_at=needed, step_seconds=seconds, seed=seed)
        for backend, seconds, steps in (("torch", 0.4, (100, 200)), ("numba", 0.2, (200, 200)))
        for seed, needed in enumerate(steps)
    ]
    found = SECTIONS["time_to_solve"].answer(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    assert re.search(r"took 1\.4× \[\S+×, \S+×, no difference shown\] as long as numba", found.sentence)
    assert "2.0× [2.0×, 2.0×] as long per step" in found.sentence


def test_nobody_solved_it(tmp_path: Path) -> None:
    items = [training("numba", solved_at=None, step_seconds=0.2)]
    run = Run.read(write_run(tmp_path / "run", items))
    found = SECTIONS["time_to_solve"].answer(run)
    assert found is not None
    assert (
        found.sentence == "On the task adding (lstm, T=100, H=100, seed 0): not solved by numba (1 min 0 s)."
    )
    summary = times_to_solve(run)
    assert summary is not None
    assert np.isnan(summary.backends["fastest_seconds"]).all()


def test_a_run_without_it_has_no_such_section(run: Run) -> None:
    assert SECTIONS["time_to_solve"].answer(run) is None
