"""The terms of a gradient by lag: their sum against autograd, each against what it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.gradients import adjoint_decay, gradient_by_lag
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS, load_backend


def draw(cell: str, seq_len: int = 9) -> tuple[Parameters, Any, Any]:
    rng = np.random.default_rng(4)
    parameters = initialize("pytorch_uniform", cell, 3, 4, seed=2, gain=1.5)
    return parameters, rng.standard_normal((seq_len, 2, 3)), rng.standard_normal((2, 4))


@pytest.mark.parametrize("parameter", ["weight_hh", "weight_ih", "bias_hh"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_sum_is_the_backends_gradient(cell: str, parameter: str) -> None:
    parameters, inputs, grad = draw(cell)
    layer = load_backend("numpy").bind(cell, parameters, "float64")
    final = (grad, *(np.zeros_like(grad) for _ in CELLS[cell].state_names[1:]))
    expected = layer.backward(layer.forward(inputs, training=True).tape, None, final).parameters[parameter]
    found = gradient_by_lag(cell, parameters, inputs, grad_output=grad, parameter=parameter, keep_terms=True)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-11, atol=1e-14)
    assert found.terms is not None
    np.testing.assert_allclose(found.terms.sum(axis=0), expected, rtol=1e-11, atol=1e-14)
    norms = np.linalg.norm(found.terms.reshape(9, -1), axis=1)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found.log10_norm, np.log10(norms), atol=1e-11)
    assert found.cumulative_share[-1] == pytest.approx(1.0)
    assert 10**found.log10_gradient_norm == pytest.approx(np.linalg.norm(expected))


def test_the_sum_is_autograds() -> None:
    parameters, inputs, grad = draw("lstm")
    module = torch.nn.LSTM(3, 4).double()
    module.load_state_dict(parameters.to_state_dict())
    output, _ = module(torch.from_numpy(inputs[:6]))
    (output[-1] * torch.from_numpy(grad)).sum().backward()
    found = gradient_by_lag("lstm", parameters, inputs, grad_output=grad, anchor=6)
    assert module.weight_hh_l0.grad is not None
    np.testing.assert_allclose(found.gradient, module.weight_hh_l0.grad.numpy(), rtol=1e-10, atol=1e-13)
    assert found.lags.tolist() == list(range(6))
    assert found.terms is None


def test_each_term_is_one_use_of_the_weight() -> None:
    """Truncation after K steps keeps the terms of lag 0…K−1 and no other."""
    from harness.clipping import Clipping

    parameters, inputs, grad = draw("gru")
    found = gradient_by_lag("gru", parameters, inputs, grad_output=grad, keep_terms=True)
    assert found.terms is not None
    for steps in (1, 3, 9):
        cut = adjoint_decay(
            "gru",
            parameters,
            inputs,
            grad_final_state=(grad,),
            clipping=Clipping("truncated", steps=steps),
        )
        np.testing.assert_allclose(
            cut.parameters["weight_hh"], found.terms[:steps].sum(axis=0), rtol=1e-10, atol=1e-14
        )


@pytest.mark.parametrize("w", [0.02, 20.0])
def test_a_scalar_far_beyond_the_range(w: float) -> None:
    """dL_t/dw = Σ_ℓ w^ℓ h_{t−ℓ−1}, with h held at 1 by the input."""
    parameters = Parameters(np.ones((1, 1)), np.array([[w]]), np.zeros(1), np.zeros(1))
    inputs = np.full((400, 1, 1), 1.0 - w)
    found = gradient_by_lag(
        "rnn_linear", parameters, inputs, grad_output=np.ones((1, 1)), initial_state=(np.ones((1, 1)),)
    )
    np.testing.assert_allclose(found.log10_norm, found.lags * np.log10(w), rtol=1e-9, atol=1e-9)
    total = np.log10(1 / (1 - w)) if w < 1 else 400 * np.log10(w) - np.log10(w - 1)
    assert found.log10_gradient_norm == pytest.approx(total, rel=1e-9)
    assert found.cumulative_share[0 if w < 1 else -1] == pytest.approx(1.0, abs=0.03)
    assert np.isinf(found.gradient).all() == (w > 1)


def test_samples_far_apart_are_both_there() -> None:
    """One sample's δ is 1e-200 of the other's, until that one dies at a unit that is off."""
    weight = np.array([[1.0]])
    parameters = Parameters(np.array([[1.0]]), weight, np.zeros(1), np.zeros(1))
    inputs = np.ones((6, 2, 1))
    inputs[3, 0] = -50.0
    grad = np.array([[1.0], [1e-200]])
    found = gradient_by_lag("rnn_relu", parameters, inputs, grad_output=grad)
    assert found.log10_norm[0] > -1
    assert found.log10_norm[3:5] == pytest.approx(np.log10([2e-200, 1e-200]))


def test_no_gradient_is_no_gradient() -> None:
    parameters, inputs, grad = draw("rnn_tanh")
    found = gradient_by_lag("rnn_tanh", parameters, inputs, grad_output=0 * grad)
    assert (found.log10_norm == -np.inf).all()
    assert found.log10_gradient_norm == -np.inf
    assert np.isnan(found.cumulative_share).all()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"grad_output": np.zeros((2, 3))}, r"grad_output must be \(B, H\) = \(2, 4\).*got \(2, 3\)"),
        ({"grad_output": np.full((2, 4), np.nan)}, r"grad_output must be finite, got nan at index \(0, 0\)"),
        ({"parameter": "weight_xx"}, "gru has no parameter 'weight_xx'; it has weight_ih"),
        ({"anchor": 0}, "anchor must be at least 1"),
        ({"anchor": 10}, "anchor must be in 0…9"),
        ({"device": "tpu"}, "device must be 'cpu', 'cuda'"),
    ],
)
def test_what_is_refused(change: dict[str, Any], complaint: str) -> None:
    parameters, inputs, grad = draw("gru")
    with pytest.raises(ValueError, match=complaint):
        gradient_by_lag("gru", parameters, inputs, **{"grad_output": grad, **change})
