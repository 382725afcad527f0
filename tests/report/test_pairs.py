"""Pairs compare the finest thing that both met, and nothing that they did not both meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.outcome import Measured
from harness.report.frames import Run
from harness.report.pairs import FEWEST_ROUNDS, Process, in_turn, pair_ratio, pair_ratios
from harness.report.summaries.throughput import throughput
from tests.report.synthetic import write_run
from tests.report.test_unit_of_statistics import case


def test_the_ratio_is_the_median_of_the_ratios_by_round() -> None:
    """The machine halves its speed after the second of five rounds, and ours had more rounds after that."""
    speed = [1.0, 1.0, 2.0, 2.0, 2.0]
    theirs = Process(1.1, {i: 1.1 * s for i, s in enumerate(speed)})
    ours = Process(2.0, dict(enumerate([*speed, 2.0, 2.0])))
    assert pair_ratio(theirs, ours) == pytest.approx(1.1)
    assert pair_ratio(ours, theirs) == pytest.approx(1 / 1.1)


def test_rounds_are_matched_by_name_and_not_by_place() -> None:
    theirs = Process(1.0, {"c": 4.0, "a": 1.0, "b": 2.0})
    ours = Process(1.0, {"a": 1.0, "b": 2.0, "c": 4.0})
    assert pair_ratio(theirs, ours) == pytest.approx(1.0)


@pytest.mark.parametrize("shared", range(FEWEST_ROUNDS))
def test_too_few_shared_rounds_are_none(shared: int) -> None:
    theirs = Process(3.0, {**dict.fromkeys(range(shared), 1.0), "own": 9.0, "further": 9.0})
    ours = Process(2.0, {**dict.fromkeys(range(shared), 1.0), "other": 1.0})
    assert in_turn(theirs, ours) == []
    assert pair_ratio(theirs, ours) == pytest.approx(1.5)


def test_a_block_that_one_side_lacks_is_no_pair() -> None:
    assert pair_ratios({0: Process(2.0), 1: Process(9.0)}, {0: Process(1.0)}) == {0: 2.0}


def turns(rounds: list[float], together: str | None, *, unstable: str | None = None) -> Measured:
    """Two samples a round."""
    numbers = [i for i in range(len(rounds)) for _ in range(2)]
    n = len(numbers)
    return Measured(
        {
            "phase": ["sample"] * n,
            "attempt": [0] * n,
            "round": numbers,
            "index": list(range(n)),
            "loops": [1] * n,
            "seconds": [rounds[i] for i in numbers],
        },
        {
            "flop": 8,
            "steps": 8,
            "num_threads": 2,
            "relative_error": 1e-7,
            "together": together,
            "unstable": unstable,
            "attempts": 1,
        },
    )


RESTLESS = ([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [1.5, 3.0, 1.5, 3.0, 3.0, 1.0], [1.0, 1.1, 1.0, 1.2, 4.0, 4.0])
"""What the machine does to each round, by replicate."""


def run_in_turn(
    folder: Path, names: tuple[str | None, str | None] = ("r", "r"), *, unstable: str | None = None
) -> Run:
    """torch takes 1.1 times as long as numba; numba had two rounds more in each replicate."""
    listed = []
    for replicate, speed in enumerate(RESTLESS):
        for (backend, factor, rounds), name in zip(
            (("torch", 1.1 * (1 + 1e-3 * replicate), speed[:4]), ("numba", 1.0, speed)), names, strict=True
        ):
            together = name and f"{name}{replicate}"
            measured = turns([factor * s for s in rounds], together, unstable=unstable)
            listed.append((case(backend, replicate), measured))
    return Run.read(write_run(folder, listed))


def verdict(run: Run) -> dict[str, object]:
    found = throughput(run)
    assert found is not None
    return found.frame.set_index("backend").loc["numba"].to_dict()


def test_backends_that_took_turns_are_compared_round_by_round(tmp_path: Path) -> None:
    found = verdict(run_in_turn(tmp_path))
    assert found["speedup"] == pytest.approx(1.1, rel=2e-3)
    assert found["verdict"] == "faster"


@pytest.mark.parametrize("names", [(None, None), ("a", "b"), ("a", None)])
def test_rounds_of_another_time_are_no_pairs(tmp_path: Path, names: tuple[str | None, str | None]) -> None:
    """The same numbers of rounds, but not taken in turn: a resumed run, or each in one go."""
    found = verdict(run_in_turn(tmp_path, names))
    assert found["verdict"] == "ambiguous"


def test_what_pairs_cancel_does_not_spoil_them(tmp_path: Path) -> None:
    restless = "spread: the middle half of the samples spans 60% of their median; drift: +40%"
    assert verdict(run_in_turn(tmp_path / "turns", unstable=restless))["verdict"] == "faster"
    alone = verdict(run_in_turn(tmp_path / "alone", (None, None), unstable=restless))
    assert alone["verdict"] == "invalid"
    assert "drift" in str(alone["verdict_reason"])
    loaded = verdict(run_in_turn(tmp_path / "load", unstable=f"{restless}; load: others used 1.00 of 2"))
    assert loaded["verdict"] == "invalid"
    assert "unstable (load)" in str(loaded["verdict_reason"])
