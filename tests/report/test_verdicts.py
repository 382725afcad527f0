"""Verdicts against cases worked out by hand, and against what would break them."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
import pytest
from scipy import stats

from harness.report.pairs import Process
from harness.report.statistics import Estimate, estimate
from harness.report.verdicts import Comparison, Verdict, independent_ratio, judge, paired_ratio


def compared(low: float, value: float, high: float, p_value: float, processes: int = 5) -> Comparison:
    return Comparison(Estimate(value, low, high, p_value, processes))


def lone_medians(seconds: dict[int, float]) -> dict[Hashable, Process]:
    """Processes that took no turns."""
    return {block: Process(value) for block, value in seconds.items()}


def word(comparison: Comparison) -> str:
    (verdict,) = judge([comparison])
    return verdict.word


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (compared(0.98, 1.00, 1.02, 0.9), "same"),
        (compared(1.005, 1.01, 1.02, 0.001), "same"),  # certain, but of no importance
        (compared(1.08, 1.10, 1.12, 0.001), "faster"),
        (compared(0.88, 0.90, 0.92, 0.001), "slower"),
        (compared(0.90, 1.10, 1.35, 0.30), "ambiguous"),  # large, not certain
        (compared(0.99, 1.00, 1.04, 0.9), "ambiguous"),  # sameness is not shown
        (compared(1.001, 1.025, 1.05, 0.04), "ambiguous"),  # a difference, perhaps below the threshold
    ],
)
def test_the_words(comparison: Comparison, expected: str) -> None:
    assert word(comparison) == expected


def test_sameness_is_symmetric_in_the_ratio() -> None:
    assert word(compared(1 / 1.029, 1.0, 1.029, 0.9)) == "same"
    assert word(compared(0.9705, 1.0, 1.029, 0.9)) == "ambiguous"  # 1/1.03 = 0.97087…


def test_one_process_however_fast_is_no_verdict() -> None:
    lone = Comparison(estimate([3.0]))
    assert judge([lone]) == [Verdict("invalid", "one process only")]
    assert word(Comparison(paired_ratio(lone_medians({0: 1.0}), lone_medians({1: 1.0})))) == "invalid"


def test_what_is_invalid_says_why_and_is_left_out_of_the_correction() -> None:
    certain = compared(1.08, 1.10, 1.12, 0.04)
    unstable = [Comparison(compared(0.9, 1.0, 1.1, 0.99).ratio, invalid="unstable: load")] * 50
    verdicts = judge([certain, *unstable])
    assert verdicts[0].word == "faster"
    assert verdicts[1] == Verdict("invalid", "unstable: load")


def test_a_grid_is_corrected_as_one() -> None:
    chance = compared(1.04, 1.20, 1.4, 0.04)
    assert word(chance) == "faster"
    verdicts = judge([chance, *[compared(0.8, 1.0, 1.2, 0.9)] * 50])
    assert verdicts[0].word == "ambiguous"


def test_pairs_cancel_what_a_block_does_to_both_sides() -> None:
    drift = [1.0, 2.0, 4.0, 8.0, 16.0]
    theirs = {i: 1.1 * d for i, d in enumerate(drift)}
    ours = {i: d * (1 + 1e-4 * i) for i, d in enumerate(drift)}
    assert word(Comparison(paired_ratio(lone_medians(theirs), lone_medians(ours)))) == "faster"
    # the same numbers, not paired: the drift drowns the difference
    assert word(Comparison(independent_ratio(list(theirs.values()), list(ours.values())))) == "ambiguous"


def test_pairs_are_by_block_not_by_position() -> None:
    theirs, ours = {0: 1.0, 1: 2.0, 2: 4.0}, {2: 4.0, 1: 2.0, 0: 1.0, 3: 100.0}
    found = paired_ratio(lone_medians(theirs), lone_medians(ours))
    assert (found.value, found.low, found.high, found.processes) == (1.0, 1.0, 1.0, 3)


def test_two_runs_are_compared_by_welch() -> None:
    a, b = [1.0, 1.1, 1.2, 1.05], [1.3, 1.2, 1.5]
    found = independent_ratio(a, b)
    expected = stats.ttest_ind(np.log(a), np.log(b), equal_var=False)
    assert found.value == pytest.approx(math.exp(np.log(a).mean() - np.log(b).mean()))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert math.log(found.low) == pytest.approx(expected.confidence_interval(0.95).low)
    assert found.processes == 3


def test_groups_without_spread() -> None:
    assert word(Comparison(independent_ratio([2.0, 2.0], [1.0, 1.0]))) == "faster"
    assert word(Comparison(independent_ratio([1.0, 1.0], [1.0, 1.0]))) == "same"
    assert word(Comparison(independent_ratio([1.0], [1.0, 1.0]))) == "invalid"


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [math.nan, 1.0]])
def test_what_has_no_ratio(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        independent_ratio(values, [1.0, 2.0])


@pytest.mark.parametrize("threshold", [0.0, -0.1, math.nan])
def test_a_threshold_is_above_zero(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        judge([compared(1, 1, 1, 1)], threshold=threshold)
