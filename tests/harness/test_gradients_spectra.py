"""Singular values and Lyapunov exponents against closed forms and high-precision arithmetic."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from harness.gradients import (
    jacobian_decay,
    log10_condition_number,
    log_volume,
    lyapunov_spectrum,
    singular_spectrum,
)
from harness.gradients.jacobi import log10_singular_values
from harness.gradients.scaled import Scaled
from harness.gradients.trajectory import run_forward
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS


def linear(weight: Any) -> Parameters:
    weight = np.atleast_2d(np.asarray(weight, dtype=float))
    size = len(weight)
    return Parameters(np.zeros((size, 1)), weight, np.zeros(size), np.zeros(size))


def draw(cell: str, seq_len: int, hidden_size: int = 4, gain: float = 1.3) -> tuple[Parameters, Any]:
    parameters = initialize("gaussian", cell, 3, hidden_size, seed=1, gain=gain)
    return parameters, np.random.default_rng(8).standard_normal((seq_len, 1, 3))


def exact_spectrum(cell: str, parameters: Parameters, inputs: Any, lag: int) -> Any:
    """The product and its SVD with 600 digits, from the same float64 Jacobians."""
    trajectory = run_forward(cell, parameters, inputs)
    with mpmath.workdps(600):
        product = mpmath.eye(trajectory.jacobian(1).shape[1])
        for t in range(len(inputs) - lag + 1, len(inputs) + 1):
            product = mpmath.matrix(trajectory.jacobian(t)[0].tolist()) * product
        values = mpmath.svd_r(product, compute_uv=False)
        return np.array([float(mpmath.log10(value)) for value in values])


@pytest.mark.parametrize("lag", [1, 7, 80])
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_every_singular_value_against_600_digits(cell: str, lag: int) -> None:
    parameters, inputs = draw(cell, 80, hidden_size=3 if cell == "lstm" else 5)
    got = singular_spectrum(cell, parameters, inputs, lag=lag)[0]
    expected = exact_spectrum(cell, parameters, inputs, lag)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert lag < 80 or expected[-1] < expected[0] - 18


def test_one_svd_of_a_scaled_product_gets_the_small_ones_wrong() -> None:
    """What this file's method is for: the comparison must be able to fail."""
    parameters, inputs = draw("rnn_tanh", 80, hidden_size=5)
    trajectory = run_forward("rnn_tanh", parameters, inputs)
    product = np.eye(5)
    for t in range(1, 81):
        product = trajectory.jacobian(t)[0] @ product
    naive = np.log10(np.linalg.svd(product, compute_uv=False))
    expected = exact_spectrum("rnn_tanh", parameters, inputs, 80)
    assert abs(naive[0] - expected[0]) < 1e-9
    assert abs(naive[-1] - expected[-1]) > 2.0


def test_the_largest_is_the_decays_spectral_norm() -> None:
    for cell in CELLS:
        parameters, inputs = draw(cell, 40)
        decay = jacobian_decay(cell, parameters, inputs, lags=[0, 25], blocks=("ss",))
        got = singular_spectrum(cell, parameters, inputs, lag=25)
        np.testing.assert_allclose(got[0, 0], decay.log10_spectral_norm["ss"][1, 0], atol=1e-10)
        np.testing.assert_allclose(singular_spectrum(cell, parameters, inputs, lag=0), 0.0, atol=1e-15)


def test_a_normal_matrix_has_the_powers_of_its_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    eigenvalues = np.array([1.2, -1.1, 0.9, 0.5, 0.1, 0.01])
    parameters = linear(q @ np.diag(eigenvalues) @ q.T)
    got = singular_spectrum("rnn_linear", parameters, np.zeros((300, 1, 1)), lag=300)
    np.testing.assert_allclose(got[0], 300 * np.log10(np.abs(eigenvalues)), rtol=1e-9)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_scaled_orthogonal_has_one_singular_value(gain: float) -> None:
    parameters = initialize("orthogonal", "rnn_linear", 1, 9, gain=gain)
    got = singular_spectrum("rnn_linear", parameters, np.zeros((500, 1, 1)), lag=500)
    np.testing.assert_allclose(got, 500 * np.log10(gain), atol=1e-10)


def test_both_singular_values_of_a_jordan_block() -> None:
    n, a, b = 40, 0.9, 1.0
    got = singular_spectrum("rnn_linear", linear([[a, b], [0, a]]), np.zeros((n, 1, 1)), lag=n)[0]
    p, q = a**n, n * a ** (n - 1) * b
    larger = (np.sqrt(q**2 + 4 * p**2) + q) / 2
    np.testing.assert_allclose(got, np.log10([larger, p**2 / larger]), atol=1e-10)


@pytest.mark.parametrize("lag", [0, 2, 5, 6])
def test_a_nilpotent_shift_has_ones_and_exact_zeros(lag: int) -> None:
    got = singular_spectrum("rnn_linear", linear(np.eye(5, k=1)), np.zeros((8, 1, 1)), lag=lag)[0]
    np.testing.assert_array_equal(got[: max(0, 5 - lag)], 0.0)
    np.testing.assert_array_equal(got[max(0, 5 - lag) :], -np.inf)


@pytest.mark.parametrize("cell", ["rnn_relu", "rnn_relu_preactivation"])
def test_dead_units_are_exact_zeros_and_the_rest_is_right(cell: str) -> None:
    parameters = initialize("gaussian", cell, 3, 6, seed=1, gain=1.5)
    arrays = {**parameters.arrays(), "bias_ih": np.array([50.0, 50.0, 50.0, 50.0, -900.0, 50.0])}
    spoilt = Parameters.from_arrays(arrays)
    inputs = np.random.default_rng(3).standard_normal((4, 1, 3))
    got = singular_spectrum(cell, spoilt, inputs, lag=3)[0]
    trajectory = run_forward(cell, spoilt, inputs)
    product = trajectory.jacobian(4)[0] @ trajectory.jacobian(3)[0] @ trajectory.jacobian(2)[0]
    expected = np.linalg.svd(product, compute_uv=False)
    rank = int((expected > 1e-10 * expected[0]).sum())
    assert rank < 6
    np.testing.assert_allclose(10 ** got[:rank], expected[:rank], rtol=1e-9)
    np.testing.assert_array_equal(got[rank:], -np.inf)


def test_jacobi_of_rows_a_thousand_decades_apart() -> None:
    rng = np.random.default_rng(2)
    mantissa = np.triu(rng.standard_normal((5, 5)) + 2 * np.eye(5))
    exponent = np.array([0, -1, -3000, -3001, 4000])
    got = log10_singular_values(Scaled(mantissa, exponent))
    with mpmath.workdps(3000):
        rows = [
            [mpmath.ldexp(float(x), int(e)) for x in row] for row, e in zip(mantissa, exponent, strict=True)
        ]
        values = mpmath.svd_r(mpmath.matrix(rows), compute_uv=False)
        expected = np.array([float(mpmath.log10(value)) for value in values])
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_log_determinant_of_a_tanh_network() -> None:
    """The exponents' sum is the time mean of log|det W| + Σ log(1 − h²)."""
    parameters, inputs = draw("rnn_tanh", 300, hidden_size=6)
    found = lyapunov_spectrum("rnn_tanh", parameters, inputs, warmup=50)
    h = run_forward("rnn_tanh", parameters, inputs).states[0][51:, 0]
    expected = np.linalg.slogdet(parameters.weight_hh)[1] + np.log(1 - h**2).sum(axis=1).mean()
    assert found.exponents.sum() == pytest.approx(expected, rel=1e-10)
    spectrum = singular_spectrum("rnn_tanh", parameters, inputs, lag=250)[0]
    assert spectrum.sum() * np.log(10) / 250 == pytest.approx(expected, rel=1e-10)


def test_lyapunov_exponents_of_a_triangular_linear_network() -> None:
    weight = np.triu(np.full((4, 4), 0.3), 1) + np.diag([1.2, 0.9, 0.4, 0.1])
    found = lyapunov_spectrum("rnn_linear", linear(weight), np.zeros((600, 2, 1)), warmup=200)
    np.testing.assert_allclose(found.exponents, np.log([1.2, 0.9, 0.4, 0.1]), atol=1e-9)
    assert (found.standard_error < 1e-9).all()
    assert found.converged


def test_the_error_covers_the_truth_and_the_verdict_can_be_no() -> None:
    parameters, inputs = draw("rnn_tanh", 3000, hidden_size=4)
    long = lyapunov_spectrum("rnn_tanh", parameters, inputs, warmup=100)
    short = lyapunov_spectrum("rnn_tanh", parameters, inputs[:500], warmup=50)
    assert (np.abs(long.exponents - short.exponents) < 5 * short.standard_error).all()
    assert (np.diff(long.exponents) <= 0).all()
    assert long.converged
    assert not lyapunov_spectrum("rnn_tanh", parameters, inputs[:60], warmup=10).converged
    # Silence for one half, noise for the other: the halves cannot agree.
    inputs[:1500] = 0.0
    assert not lyapunov_spectrum("rnn_tanh", parameters, inputs, warmup=0).converged


def test_a_dying_direction_is_minus_infinity() -> None:
    found = lyapunov_spectrum("rnn_linear", linear(np.diag([0.5, 0.0])), np.zeros((200, 1, 1)), warmup=10)
    assert found.exponents[0] == pytest.approx(np.log(0.5))
    assert found.exponents[1] == -np.inf
    assert found.standard_error[1] == 0.0


def test_condition_and_volume_of_a_normal_matrix() -> None:
    weight = linear(np.diag([2.0, 0.5, 0.25]))
    spectrum = singular_spectrum("rnn_linear", weight, np.zeros((40, 2, 1)), lag=40)
    np.testing.assert_allclose(log10_condition_number(spectrum), 40 * np.log10(8.0), rtol=1e-12)
    np.testing.assert_allclose(log_volume(spectrum), 40 * np.log(0.25), rtol=1e-12)
    lost = singular_spectrum("rnn_linear", linear(np.diag([2.0, 0.0])), np.zeros((3, 1, 1)), lag=2)
    assert log10_condition_number(lost)[0] == np.inf
    assert log_volume(lost)[0] == -np.inf


def test_the_running_average_ends_at_the_exponents() -> None:
    parameters, inputs = draw("lstm", 700, hidden_size=3)
    found = lyapunov_spectrum("lstm", parameters, inputs, warmup=50)
    assert found.running.shape == (200, 6)
    assert found.running_steps[[0, -1]].tolist() == [1, 650]
    np.testing.assert_allclose(found.running[-1], found.exponents, rtol=1e-12)
    half = lyapunov_spectrum("lstm", parameters, inputs[: 50 + int(found.running_steps[99])], warmup=50)
    np.testing.assert_allclose(np.sort(found.running[99]), np.sort(half.exponents), rtol=1e-10)


def test_dimension_and_entropy_of_a_linear_map() -> None:
    found = lyapunov_spectrum("rnn_linear", linear(np.diag([1.5, 0.8, 0.1])), np.zeros((300, 1, 1)), warmup=9)
    assert found.entropy_rate == pytest.approx(np.log(1.5))
    assert found.kaplan_yorke_dimension == pytest.approx(2 + np.log(1.2) / np.log(10.0))


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_the_leading_exponents_are_the_first_of_all(cell: str) -> None:
    parameters, inputs = draw(cell, 400, hidden_size=6)
    every, some = (lyapunov_spectrum(cell, parameters, inputs, warmup=100, leading=n) for n in (None, 3))
    np.testing.assert_allclose(some.exponents, every.exponents[:3], atol=1e-9)
    np.testing.assert_allclose(some.standard_error, every.standard_error[:3], atol=1e-9)
    assert some.running.shape == (200, 3)
    assert some.state_size == every.state_size == len(every.exponents)


def test_dimension_and_entropy_need_the_exponents_that_they_depend_on() -> None:
    found = [
        lyapunov_spectrum(
            "rnn_linear", linear(np.diag([1.5, 0.8, 0.1])), np.zeros((300, 1, 1)), warmup=9, leading=n
        )
        for n in (1, 2, 3)
    ]
    assert [np.isnan(each.kaplan_yorke_dimension) for each in found] == [True, True, False]
    assert [np.isnan(each.entropy_rate) for each in found] == [True, False, False]
    assert found[1].entropy_rate == pytest.approx(np.log(1.5))


@pytest.mark.parametrize("cell", CELLS)
def test_exponents_on_a_device_are_those_on_the_processor(cell: str) -> None:
    parameters, inputs = draw(cell, 90)
    here, there = (
        lyapunov_spectrum(cell, parameters, inputs, warmup=10, device=device) for device in ("cpu", "torch")
    )
    # What falls by more than e^−30 a step is a direction that rounding alone carries.
    above = (np.maximum(found.exponents, -30.0) for found in (there, here))
    np.testing.assert_allclose(*above, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda p, x: lyapunov_spectrum("gru", p, x, warmup=9),
            "warmup must be in 0…8, so that a step is left",
        ),
        (lambda p, x: lyapunov_spectrum("gru", p, x, warmup=-1), "warmup must be in 0…8"),
        (
            lambda p, x: lyapunov_spectrum("gru", p, x, warmup=0, leading=0),
            r"leading must be in 1…4 \(the state size\), got 0",
        ),
        (lambda p, x: lyapunov_spectrum("gru", p, x, warmup=0, leading=5), "leading must be in 1…4"),
        (lambda p, x: lyapunov_spectrum("gru", p, x, warmup=0, leading=1.5), "leading must be integers"),
        (lambda p, x: lyapunov_spectrum("gru", p, x[:0], warmup=0), "T >= 1"),
        (lambda p, x: singular_spectrum("gru", p, x, lag=10), "lag must be in 0…9"),
        (lambda p, x: singular_spectrum("gru", p, x, lag=3, anchor=2), "lag must be in 0…2"),
    ],
)
def test_what_is_refused(call: Any, complaint: str) -> None:
    parameters, inputs = draw("gru", 9)
    with pytest.raises(ValueError, match=complaint):
        call(parameters, inputs)
