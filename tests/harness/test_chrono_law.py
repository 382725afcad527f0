"""Chrono's law against high precision, against draws, and where it is a power law and where not."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.special import exp1, expn

from harness.gradients import jacobian_decay, log10_chrono_law
from harness.initializations import initialize

LAGS = [0, 1, 2, 7, 30, 200, 3000, 100_000]


def exact(t_max: float, lag: int, path: str) -> float:
    """The mean over u by adaptive quadrature with 40 digits."""
    with mpmath.workdps(40):
        most, cut = mpmath.mpf(t_max) - 1, mpmath.mpf(1)

        def square(u: Any) -> Any:
            kept = u / (1 + u)
            return kept ** (2 * lag) if path == "kept" else kept ** (2 * lag - 2) / (1 + u) ** 2

        # The mass sits within a few (M + 1)²/(2 lag) of M: cut there, too.
        cuts = sorted({cut, most, *(most - (most - 1) / 2**j for j in range(1, 22))})
        mean = mpmath.quad(square, cuts) / (most - 1)
        return float(mpmath.log10(mean) / 2)


@pytest.mark.parametrize("path", ["kept", "written"])
@pytest.mark.parametrize("t_max", [2.5, 10.0, 100.0, 30_000.0])
def test_against_forty_digits(t_max: float, path: str) -> None:
    lags = LAGS if path == "kept" else LAGS[1:]
    expected = [exact(t_max, lag, path) for lag in lags]
    np.testing.assert_allclose(log10_chrono_law(t_max, lags, path=path), expected, rtol=1e-11, atol=1e-11)


def test_nothing_is_written_at_lag_zero() -> None:
    assert log10_chrono_law(50, [0], path="written")[0] == -np.inf
    assert log10_chrono_law(50, [0], path="kept")[0] == pytest.approx(0.0, abs=1e-14)


def test_one_time_constant_is_one_exponential() -> None:
    """t_max = 2: u = 1 in every unit, f = i = ½."""
    lags = np.arange(1, 5)
    for path in ("kept", "written"):
        np.testing.assert_allclose(log10_chrono_law(2, lags, path=path), -lags * np.log10(2.0))
        near = log10_chrono_law(2 + 1e-7, lags, path=path)
        np.testing.assert_allclose(near, -lags * np.log10(2.0), atol=1e-6)


def slopes(t_max: float, path: str, lags: Any) -> Any:
    lags = np.asarray(lags)
    up, down = (log10_chrono_law(t_max, factor * lags, path=path) for factor in (2, 1))
    return (up - down) / np.log10(2.0)


def test_what_is_written_is_a_power_law_of_one_half() -> None:
    np.testing.assert_allclose(slopes(1e6, "written", [10, 100, 1000]), -0.5, atol=0.04)
    assert slopes(100, "written", [100])[0] < -1.0


def test_what_is_kept_is_the_exponential_integral_and_no_power_law() -> None:
    """Its local exponent, −x E₁(x)/E₂(x) with x = 2n/M, never rests."""
    lags = np.array([100, 1000, 10_000])
    kept = log10_chrono_law(1e5 + 1, lags, path="kept")
    np.testing.assert_allclose(kept, 0.5 * np.log10(expn(2, 2 * lags / 1e5)), atol=2e-3)
    found = slopes(1e5, "kept", lags)
    x = 2e-5 * lags * np.sqrt(2)
    np.testing.assert_allclose(found, -x * exp1(x) / expn(2, x) / 2, atol=0.02)
    assert found[0] > -0.02
    assert found[2] < -0.25


def test_drawn_networks_follow_it() -> None:
    """100 units × 12 seeds whose weights are so weak that the gates see their biases alone."""
    lags, squares = [1, 2, 4, 10, 30, 80], []
    for seed in range(12):
        parameters = initialize("chrono", "lstm", 1, 100, seed=seed, gain=1e-4, t_max=60)
        found = jacobian_decay("lstm", parameters, np.zeros((80, 1, 1)), lags=lags, blocks=("cc", "ch"))
        squares.append([10.0 ** (2 * found.log10_frobenius_norm[block][:, 0]) for block in ("cc", "ch")])
    for rms, path in zip(0.5 * np.log10(np.mean(squares, axis=0)), ("kept", "written"), strict=True):
        expected = log10_chrono_law(60, lags, path=path)
        np.testing.assert_allclose(rms - rms[0], expected - expected[0], atol=0.05)


@pytest.mark.parametrize(
    ("t_max", "lags", "path", "complaint"),
    [
        (1.9, [1], "kept", "t_max must be finite and >= 2"),
        (np.nan, [1], "kept", "t_max must be finite"),
        (9, [-1], "kept", "lags must not be negative, got -1"),
        (9, [1], "read", "path must be one of kept, written, got 'read'"),
    ],
)
def test_what_is_refused(t_max: float, lags: list[int], path: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        log10_chrono_law(t_max, lags, path=path)
