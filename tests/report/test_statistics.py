"""Statistics against values worked out by hand or by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.report.statistics import curve, distinguishable, estimate, geometric_mean, line, median


def test_geometric_mean() -> None:
    assert geometric_mean([1.0, 100.0]) == pytest.approx(10.0)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -2.0], [1.0, np.nan]])
def test_what_has_no_geometric_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        geometric_mean(values)


def test_estimate_is_the_t_interval_on_logarithms() -> None:
    found = estimate([1.0, 2.0, 4.0])
    half = stats.t.ppf(0.975, 2) * math.log(2) / math.sqrt(3)
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-half))
    assert found.high == pytest.approx(2 * math.exp(half))
    assert found.p_value == pytest.approx(stats.ttest_1samp(np.log([1.0, 2.0, 4.0]), 0).pvalue)


def test_one_process_has_no_interval() -> None:
    found = estimate([3.0])
    assert found.value == pytest.approx(3.0)
    assert math.isnan(found.low)
    assert math.isnan(found.p_value)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [estimate(np.exp(rng.normal(0.0, 0.02, size=4))) for _ in range(1000)]
    assert 0.93 < np.mean([e.low <= 1.0 <= e.high for e in found]) < 0.97


def test_false_discoveries_are_controlled_over_the_grid() -> None:
    p = [0.001, 0.04, 0.04, 0.9, np.nan]
    assert distinguishable(p).tolist() == [True, False, False, False, False]
    assert distinguishable([0.04]).tolist() == [True]
    assert distinguishable([]).tolist() == []


def test_curve_is_order_statistics_per_x() -> None:
    found = curve([1, 0, 1, 1, 0, 1], [4.0, 7.0, 1.0, 2.0, 5.0, 3.0], low=0.0, high=1.0)
    assert found.x.tolist() == [0, 1]
    assert found.median.tolist() == [6.0, 2.5]
    assert found.low.tolist() == [5.0, 1.0]
    assert found.high.tolist() == [7.0, 4.0]


def test_curve_keeps_an_exact_zero_and_drops_what_is_missing() -> None:
    found = curve([0, 0, 0, 1, 1], [-np.inf, -np.inf, 1.0, np.nan, -2.0])
    assert found.median.tolist() == [-np.inf, -2.0]


def test_line_through_points() -> None:
    found = line([1, 2, 3], [5.0, 7.0, 9.0])
    assert found is not None
    assert found.slope == pytest.approx(2.0)
    assert found.intercept == pytest.approx(3.0)
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)


def test_no_line_through_one_x() -> None:
    assert line([4, 4], [1.0, 2.0]) is None


def test_two_points_have_a_slope_without_an_error() -> None:
    found = line([0, 2], [0.0, 4.0])
    assert found is not None
    assert found.slope == pytest.approx(2.0)
    assert math.isnan(found.standard_error)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 1.0, 2.0], 2.0),
        ([1.0, 2.0], 1.5),
        ([-np.inf, 1.0], -np.inf),
        ([np.inf, 1.0], np.inf),
        ([np.nan, 1.0, 4.0], 2.5),
        ([], np.nan),
    ],
)
def test_there_is_one_median(values: list[float], expected: float) -> None:
    assert median(values) == pytest.approx(expected, nan_ok=True)
