"""Every scheme against its paper's formula: moments, orthogonality, spectra, sums of biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from harness.gradients import edge_of_chaos_gain, lyapunov_spectrum
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS


def blocks(cell: str, parameters: Parameters) -> dict[str, Any]:
    return {gate: CELLS[cell].gate(parameters.weight_hh, gate) for gate in CELLS[cell].gates}


@pytest.mark.parametrize(
    ("name", "recurrent", "entrance"),
    [("xavier_normal", 1 / 200, 2 / 240), ("kaiming", 2 / 200, 2 / 40), ("gaussian", 1 / 200, 1 / 40)],
)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_gaussian_entries_have_the_variance_of_the_block(
    name: str, recurrent: float, entrance: float, cell: str
) -> None:
    parameters = initialize(name, cell, 40, 200, gain=1.5)
    for block in blocks(cell, parameters).values():
        assert block.var() == pytest.approx(2.25 * recurrent, rel=0.05)
        assert (block**4).mean() / block.var() ** 2 == pytest.approx(3.0, rel=0.1)
    assert parameters.weight_ih.var() == pytest.approx(entrance, rel=0.07)
    assert not parameters.bias_ih.any()


@pytest.mark.parametrize(("name", "scale"), [("irnn", 1.0), ("scaled_identity", 0.01)])
def test_irnn_is_the_identity_with_small_input_weights(name: str, scale: float) -> None:
    parameters = initialize(name, "rnn_relu", 30, 40, gain=0.5)
    np.testing.assert_array_equal(parameters.weight_hh, 0.5 * scale * np.eye(40))
    assert parameters.weight_ih.std() == pytest.approx(0.001, rel=0.1)
    assert not parameters.bias_ih.any()
    assert not parameters.bias_hh.any()


def test_scaled_identity_takes_its_scale() -> None:
    parameters = initialize("scaled_identity", "gru", 3, 4, scale=0.3)
    np.testing.assert_array_equal(parameters.weight_hh, np.concatenate([0.3 * np.eye(4)] * 3))
    with pytest.raises(ValueError, match=r"scale must be finite and > 0, got -1"):
        initialize("scaled_identity", "gru", 3, 4, scale=-1.0)


@pytest.mark.parametrize("name", ["henaff", "cayley"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
@pytest.mark.parametrize("size", [8, 9])
def test_skew_schemes_are_orthogonal_times_the_gain(name: str, cell: str, size: int) -> None:
    parameters = initialize(name, cell, 3, size, gain=1.3)
    found = list(blocks(cell, parameters).values())
    for block in found:
        np.testing.assert_allclose(block.T @ block, 1.69 * np.eye(size), atol=1e-14)
        assert np.linalg.slogdet(block)[0] == 1.0
    for other in found[1:]:
        assert not np.allclose(found[0], other)


def test_henaff_is_the_exponential_of_a_skew_matrix() -> None:
    weight = initialize("henaff", "rnn_tanh", 3, 6, seed=4).weight_hh
    skew = np.zeros((6, 6))
    for j in (0, 2, 4):
        skew[j, j + 1] = np.arctan2(weight[j, j + 1], weight[j, j])
    np.testing.assert_allclose(weight, scipy.linalg.expm(skew - skew.T), atol=1e-14)


def test_henaff_angles_fill_the_circle() -> None:
    angles = np.angle(np.linalg.eigvals(initialize("henaff", "rnn_tanh", 3, 400).weight_hh))
    assert np.abs(angles).max() > 0.97 * np.pi
    assert np.abs(angles).mean() == pytest.approx(np.pi / 2, rel=0.1)


def test_cayley_is_the_transform_of_a_skew_matrix() -> None:
    """From W back to A = (I − W)(I + W)⁻¹, which is skew with entries tan(θ/2), θ in (0, π/2)."""
    weight = initialize("cayley", "rnn_tanh", 3, 401).weight_hh
    skew = (np.eye(401) - weight) @ np.linalg.inv(np.eye(401) + weight)
    np.testing.assert_allclose(skew, -skew.T, atol=1e-13)
    entries = skew[np.arange(0, 400, 2), np.arange(1, 401, 2)]
    angles = 2 * np.arctan(entries)
    assert (angles > 0).all()
    assert (angles < np.pi / 2).all()
    assert angles.mean() == pytest.approx(np.pi / 4, rel=0.1)


def test_cayley_scales_columns_by_signs() -> None:
    plain = initialize("cayley", "rnn_tanh", 3, 7).weight_hh
    signed = initialize("cayley", "rnn_tanh", 3, 7, negative_ones=3).weight_hh
    np.testing.assert_array_equal(signed, plain @ np.diag([-1, -1, -1, 1, 1, 1, 1]))
    with pytest.raises(ValueError, match="negative_ones must be in 0…7"):
        initialize("cayley", "rnn_tanh", 3, 7, negative_ones=8)


@pytest.mark.parametrize("t_max", [3.0, 50.0, 1000.0])
def test_chrono_of_an_lstm(t_max: float) -> None:
    cell = CELLS["lstm"]
    parameters = initialize("chrono", "lstm", 1, 1000, t_max=t_max)
    forget = cell.gate(parameters.bias_ih, "f")
    np.testing.assert_array_equal(cell.gate(parameters.bias_ih, "i"), -forget)
    u = np.exp(forget)
    assert u.min() >= 1 - 1e-12
    assert u.max() <= (t_max - 1) * (1 + 1e-12)
    assert u.mean() == pytest.approx(t_max / 2, rel=0.05)
    assert u.var() == pytest.approx((t_max - 2) ** 2 / 12, rel=0.1)
    for gate in "go":
        assert not cell.gate(parameters.bias_ih, gate).any()
    assert not parameters.bias_hh.any()


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_chrono_of_a_gru_is_in_the_gate_that_keeps(cell: str) -> None:
    parameters = initialize("chrono", cell, 3, 500, t_max=20)
    u = np.exp(CELLS[cell].gate(parameters.bias_ih, "z"))
    assert 1 - 1e-12 <= u.min() < 2
    assert 18 < u.max() <= 19 + 1e-12
    for gate in "rn":
        assert not CELLS[cell].gate(parameters.bias_ih, gate).any()
    # A unit with bias log u keeps u/(1+u) of its state where nothing else drives the gate.
    silent = Parameters.from_arrays(
        {k: np.zeros_like(v) if k.startswith("weight") else v for k, v in parameters.arrays().items()}
    )
    (h,) = CELLS[cell].step(silent, np.zeros((1, 3)), (np.ones((1, 500)),))
    np.testing.assert_allclose(h[0], u / (1 + u))


def test_chrono_leaves_the_forget_gate_to_an_explicit_bias() -> None:
    plain, fixed = (initialize("chrono", "lstm", 3, 5, forget_bias=bias) for bias in (None, 2.0))
    cell = CELLS["lstm"]
    np.testing.assert_array_equal(cell.gate(fixed.bias_ih, "f"), 2.0)
    np.testing.assert_array_equal(cell.gate(fixed.bias_ih, "i"), cell.gate(plain.bias_ih, "i"))
    with pytest.raises(ValueError, match="t_max must be finite and >= 2"):
        initialize("chrono", "lstm", 3, 5, t_max=1.5)


@pytest.mark.parametrize("sigma_squared", [0.0, 0.3, 1.0])
def test_critical_has_the_gain_of_the_edge(sigma_squared: float) -> None:
    expected = edge_of_chaos_gain(sigma_squared)
    for cell in ("rnn_tanh", "rnn_tanh_preactivation"):
        weight = initialize("critical", cell, 3, 300, input_variance=sigma_squared, gain=0.8).weight_hh
        assert weight.std() * np.sqrt(300) == pytest.approx(0.8 * expected, rel=0.02)


def test_critical_by_activation_and_by_gate() -> None:
    spread = {
        (cell, gate): block.std() * np.sqrt(300)
        for cell in ("rnn_relu", "rnn_linear", "lstm", "gru")
        for gate, block in blocks(cell, initialize("critical", cell, 3, 300)).items()
    }
    tanh = edge_of_chaos_gain(1.0)
    expected = {("rnn_relu", "h"): np.sqrt(2.0), ("lstm", "g"): tanh, ("gru", "n"): tanh}
    for key, value in spread.items():
        assert value == pytest.approx(expected.get(key, 1.0), rel=0.03)


@pytest.mark.parametrize(("gain", "sign"), [(0.7, -1), (1.4, 1)])
def test_critical_separates_vanishing_from_exploding(gain: float, sign: int) -> None:
    """λ₁ of a finite network under white noise of unit variance, on either side of its edge."""
    parameters = initialize("critical", "rnn_tanh", 100, 100, gain=gain)
    inputs = np.random.default_rng(1).standard_normal((120, 1, 100))
    found = lyapunov_spectrum("rnn_tanh", parameters, inputs, warmup=40)
    assert sign * found.exponents[0] > 0.05


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
@pytest.mark.parametrize("gain", [0.4, 1.1])
def test_spectral_radius_is_the_gain(cell: str, gain: float) -> None:
    for block in blocks(cell, initialize("spectral_radius", cell, 3, 30, gain=gain)).values():
        assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(gain, rel=1e-12)
        assert np.linalg.norm(block, 2) > 1.3 * gain


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
@pytest.mark.parametrize("nonzero", [1, 5, 400])
def test_sparse_rows_have_k_entries_of_variance_one_over_k(cell: str, nonzero: int) -> None:
    parameters = initialize("sparse", cell, 3, 200, nonzero=nonzero, gain=2.0)
    count = min(nonzero, 200)
    for block in blocks(cell, parameters).values():
        np.testing.assert_array_equal((block != 0).sum(axis=1), count)
        assert (block**2).sum() / block.shape[0] == pytest.approx(4.0, rel=0.35)
        assert (block != 0).any(axis=0).mean() > 0.55  # places differ from row to row
    with pytest.raises(ValueError, match="nonzero must be at least 1"):
        initialize("sparse", cell, 3, 4, nonzero=0)


def test_sparse_draws_fifteen_by_default() -> None:
    weight = initialize("sparse", "rnn_tanh", 3, 60).weight_hh
    np.testing.assert_array_equal((weight != 0).sum(axis=1), 15)
    assert weight[weight != 0].std() == pytest.approx(1 / np.sqrt(15), rel=0.1)
