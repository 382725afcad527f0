"""Theory against high precision, against itself, and against networks it describes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import mpmath
import numpy as np
import pytest

from harness.gradients import (
    edge_of_chaos_gain,
    log10_random_product_norm,
    lyapunov_spectrum,
    random_product_exponents,
    tanh_mean_field,
)
from harness.gradients.mean_field import mean_sech_fourth, mean_tanh_squared
from harness.initializations import initialize


def gaussian_mean(function: Any, variance: float) -> float:
    """E function(√q z) by adaptive quadrature with 30 digits."""
    nodes = [0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 6.0, 12.0]
    with mpmath.workdps(30):
        root = mpmath.sqrt(variance)
        value = 2 * mpmath.quad(lambda z: function(root * z) * mpmath.npdf(z), nodes)
    return float(value)


@pytest.mark.parametrize("variance", [1e-8, 1e-3, 0.3, 1.0, 1.0001, 7.0, 1e4])
def test_averages_over_a_gaussian(variance: float) -> None:
    tanh = gaussian_mean(lambda x: mpmath.tanh(x) ** 2, variance)
    assert mean_tanh_squared(variance) == pytest.approx(tanh, rel=1e-13)
    sech = gaussian_mean(lambda x: mpmath.sech(x) ** 4, variance)
    assert mean_sech_fourth(variance) == pytest.approx(sech, rel=1e-13)


def test_the_published_exponent() -> None:
    assert tanh_mean_field(2.0).lyapunov_exponent == pytest.approx(0.154724, abs=5e-7)


@pytest.mark.parametrize("gain", [0.2, 0.9, 1.00001, 1.5, 3.0, 50.0])
@pytest.mark.parametrize("input_variance", [1e-6, 0.1, 1.0, 30.0])
def test_the_fixed_point_is_one(gain: float, input_variance: float) -> None:
    found = tanh_mean_field(gain, input_variance)
    q = found.variance
    assert q > input_variance
    assert gain**2 * mean_tanh_squared(q) + input_variance == pytest.approx(q, rel=1e-12)
    assert found.chi == pytest.approx(gain**2 * mean_sech_fourth(q), rel=1e-14)
    assert found.lyapunov_exponent == pytest.approx(0.5 * np.log(found.chi), rel=1e-14)


@pytest.mark.parametrize("gain", [0.1, 0.9, 1.0])
def test_without_input_a_weak_network_falls_silent(gain: float) -> None:
    found = tanh_mean_field(gain)
    assert found.variance == 0.0
    assert found.chi == pytest.approx(gain**2, rel=1e-14)


def test_a_little_above_the_edge_the_variance_is_small() -> None:
    """q = ε + O(ε²) for g² = 1 + 2ε: the expansion q = g²(q − 2q²)."""
    assert tanh_mean_field(1.0 + 1e-6).variance == pytest.approx(1e-6, rel=1e-4)


@pytest.mark.parametrize("input_variance", [1e-12, 1e-4, 0.1, 1.0, 25.0, 1e4])
def test_on_the_line_chi_is_one(input_variance: float) -> None:
    gain = edge_of_chaos_gain(input_variance)
    assert gain > 1.0
    assert tanh_mean_field(gain, input_variance).chi == pytest.approx(1.0, abs=1e-10)
    assert tanh_mean_field(0.99 * gain, input_variance).chi < 1.0
    assert tanh_mean_field(1.01 * gain, input_variance).chi > 1.0


def test_the_line_begins_at_one_and_rises() -> None:
    gains = [edge_of_chaos_gain(value) for value in (0.0, 1e-9, 1e-3, 0.1, 1.0, 10.0)]
    assert gains[0] == 1.0
    assert (np.diff(gains) > 0).all()
    # σ² = 4q³/3 and g = 1 + q near the start of the line.
    assert gains[1] - 1.0 == pytest.approx((0.75e-9) ** (1 / 3), rel=0.01)


@pytest.mark.parametrize(("gain", "input_variance"), [(2.0, 0.0), (2.5, 1.0), (1.2, 1.0)])
def test_a_large_network_has_the_mean_field_exponent(gain: float, input_variance: float) -> None:
    size = 200
    found = []
    for seed in range(2):
        parameters = initialize("gaussian", "rnn_tanh", size, size, seed=seed, gain=gain)
        rng = np.random.default_rng(seed)
        inputs = np.sqrt(input_variance) * rng.standard_normal((100, 1, size))
        start = (rng.standard_normal((1, size)),)
        exponents = lyapunov_spectrum(
            "rnn_tanh", parameters, inputs, initial_state=start, warmup=40
        ).exponents
        found.append(exponents[0])
    assert np.mean(found) == pytest.approx(tanh_mean_field(gain, input_variance).lyapunov_exponent, abs=0.05)


@pytest.mark.parametrize(("size", "gain"), [(1, 1.0), (2, 0.5), (6, 1.7)])
def test_newmans_exponents(size: int, gain: float) -> None:
    """λ_i from QR over independent draws; their sum is E log|det W|, known by itself."""
    rng = np.random.default_rng(3)
    steps, chains = 400, 40
    q = np.broadcast_to(np.eye(size), (chains, size, size))
    logs = np.empty((steps, chains, size))
    for step in range(steps):
        weight = gain * rng.standard_normal((chains, size, size)) / np.sqrt(size)
        q, r = np.linalg.qr(weight @ q)
        logs[step] = np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    expected = random_product_exponents(size, gain)
    standard_error = logs.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(chains)
    assert (np.abs(logs.mean(axis=(0, 1)) - expected) < 4.5 * standard_error).all()
    assert (standard_error < 0.02).all()
    assert (np.diff(expected) < 0).all()


def test_one_by_one_is_the_mean_log_of_a_normal() -> None:
    """E log|z| = −(γ + ln 2)/2."""
    assert random_product_exponents(1)[0] == pytest.approx(-(np.euler_gamma + np.log(2)) / 2, rel=1e-14)


def test_the_mean_square_norm_of_a_random_product() -> None:
    rng = np.random.default_rng(0)
    product = np.broadcast_to(np.eye(8), (4000, 8, 8))
    for _ in range(3):
        product = rng.standard_normal((4000, 8, 8)) * (1.2 / np.sqrt(8)) @ product
    mean_square = (product**2).sum(axis=(1, 2)).mean()
    (expected,) = log10_random_product_norm(8, 1.2, [3])
    assert 0.5 * np.log10(mean_square) == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(
        log10_random_product_norm(8, 0.5, [0, 10**5]),
        [0.5 * np.log10(8), 0.5 * np.log10(8) - 1e5 * np.log10(2)],
    )


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: tanh_mean_field(0.0), "gain must be finite and > 0, got 0.0"),
        (lambda: tanh_mean_field(float("nan")), "gain must be finite"),
        (lambda: tanh_mean_field(1.0, -0.1), "input_variance must be finite and >= 0, got -0.1"),
        (lambda: edge_of_chaos_gain(float("inf")), "input_variance must be finite"),
        (lambda: random_product_exponents(0), "size must be at least 1, got 0"),
        (lambda: log10_random_product_norm(3, -1.0, [1]), "gain must be finite and > 0"),
    ],
)
def test_what_is_refused(call: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()


def test_importing_the_engine_leaves_scipy_alone() -> None:
    code = "import sys, harness.gradients; print(sorted({'scipy', 'torch', 'numba'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
