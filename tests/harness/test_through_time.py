"""Clipping inside the backward pass of any backend, against the analytic recurrence and torch's own hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from harness.clipping import Clipping
from harness.gradients import adjoint_decay
from harness.gradients.onestep import gates_pass_on
from harness.initializations import initialize
from harness.training.through_time import bind_clipped, why_not_through_time
from implementations.cells.rnn import TANH, SimpleRNN
from implementations.contract import BackendUnavailable, Parameters, StepGradients, TapeUsed
from implementations.registry import CELLS, load_backend

T, B, WIDTH, H = 7, 3, 2, 4


def scene(cell: str) -> tuple[Any, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    parameters = initialize("xavier_uniform", cell, WIDTH, H, seed=1, gain=1.5)
    return parameters, rng.standard_normal((T, B, WIDTH)), rng.standard_normal((T, B, H))


def bound(backend: str, cell: str, clipping: Clipping, dtype: str = "float64") -> Any:
    try:
        loaded = load_backend(backend)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    if reason := loaded.why_unsupported(cell, dtype, training=True):
        pytest.skip(reason)
    return bind_clipped(loaded, cell, scene(cell)[0], dtype, clipping)


def back(layer: Any, inputs: np.ndarray, grad_output: np.ndarray) -> Any:
    inputs, grad_output = (layer.backend.to_native(a.astype(layer.dtype)) for a in (inputs, grad_output))
    forward = layer.forward(inputs, training=True)
    return layer.backward(forward.tape, grad_output)


RULES = [
    Clipping("value", 0.3, place="state"),
    Clipping("per_sample_norm", 0.5, place="state"),
    Clipping("global_norm", 0.5, place="state"),
    Clipping("value", 0.2, place="gates"),
    Clipping("per_sample_norm", 0.4, place="gates"),
    Clipping("truncated", steps=3),
    Clipping("truncated", steps=99),
]


@pytest.mark.parametrize("backend", ["numpy", "naive", "numba", "torch", "jax"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.rule}-{rule.place}-{rule.steps}")
@pytest.mark.parametrize("cell", CELLS)
def test_it_is_the_analytic_recurrence(cell: str, rule: Clipping, backend: str) -> None:
    if why_not_through_time(cell, rule):
        pytest.skip("its gates cannot be had")
    parameters, inputs, grad_output = scene(cell)
    layer = bound(backend, cell, rule)
    found = back(layer, inputs, grad_output)
    expected = adjoint_decay(cell, parameters, inputs, grad_output=grad_output, clipping=rule)
    numpy = layer.backend.to_numpy
    for name, array in expected.parameters.items():
        np.testing.assert_allclose(numpy(found.parameters[name]), array, atol=1e-12, err_msg=name)
    delta_0 = np.linalg.norm(numpy(found.initial_state[0]), axis=1)
    np.testing.assert_allclose(delta_0, 10.0 ** expected.log10_total[0], atol=1e-12)
    if rule.rule == "value":
        assert layer.counts.changed > 0


FAR_ABOVE = (1e4, 1e10, 1e20)
"""Gradients of so many times the threshold: all but the clipped part's own digits are taken off."""
ATOL = {"float64": 1e-12, "float32": 3e-4}


@pytest.mark.parametrize("dtype", ATOL)
@pytest.mark.parametrize("backend", ["numpy", "naive", "numba", "torch", "jax"])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if gates_pass_on(CELLS[cell])])
def test_gates_clipped_by_far_keep_their_digits(cell: str, backend: str, dtype: str) -> None:
    parameters, inputs, grad_output = scene(cell)
    for rule in (Clipping("value", 0.2, place="gates"), Clipping("per_sample_norm", 0.4, place="gates")):
        layer = bound(backend, cell, rule, dtype)
        numpy = layer.backend.to_numpy
        for ratio in FAR_ABOVE:
            found = back(layer, inputs, ratio * grad_output)
            expected = adjoint_decay(cell, parameters, inputs, grad_output=ratio * grad_output, clipping=rule)
            for name, array in expected.parameters.items():
                np.testing.assert_allclose(
                    numpy(found.parameters[name]), array, atol=ATOL[dtype], err_msg=f"{name} {ratio}"
                )
            with np.errstate(divide="ignore"):
                delta_0 = np.log10(np.linalg.norm(numpy(found.initial_state[0]).astype(float), axis=1))
            np.testing.assert_allclose(delta_0, expected.log10_total[0], atol=ATOL[dtype])


@pytest.mark.parametrize("dtype", ATOL)
@pytest.mark.parametrize("backend", ["numpy", "naive", "numba", "torch", "jax"])
def test_a_scalar_clamped_at_its_gate_halves_from_there(backend: str, dtype: str) -> None:
    """h' = h/2, 1 is the limit at the gate: δ_T = g, δ_k = 2^−(T−k) below it, however large g."""
    parameters = initialize("identity", "rnn_linear", 1, 1, gain=0.5)
    rule = Clipping("value", 1.0, place="gates")
    try:
        loaded = load_backend(backend)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    if reason := loaded.why_unsupported("rnn_linear", dtype, training=True):
        pytest.skip(reason)
    native = loaded.to_native
    for ratio in FAR_ABOVE:
        layer = bind_clipped(loaded, "rnn_linear", parameters, dtype, rule)
        forward = layer.forward(native(np.zeros((3, 1, 1), dtype)), training=True)
        found = layer.backward(forward.tape, None, (native(np.full((1, 1), ratio, dtype)),))
        assert float(loaded.to_numpy(found.initial_state[0]).item()) == 0.125


class Residual(SimpleRNN):
    """h' = h + tanh(a): a cell of one's own, whose h goes past its gate too."""

    def step(self, parameters: Parameters, x: Any, state: Any) -> Any:
        return (super().step(parameters, x, state)[0] + state[0],)

    def step_backward(self, parameters: Parameters, x: Any, state: Any, grad_state: Any) -> Any:
        found = super().step_backward(parameters, x, state, grad_state)
        return StepGradients(found.x, (found.state[0] + grad_state[0],), found.parameters)


def test_what_goes_past_the_gates_of_a_cell_of_ones_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """δ_k = δ_{k+1} + W_hhᵀ clip(gates), for gates that are clamped by far."""
    monkeypatch.setitem(CELLS._items, "residual", Residual("residual", TANH))
    parameters = initialize("xavier_uniform", "residual", 1, H, seed=1)
    rule, sent = Clipping("value", 1e-3, place="gates"), np.linspace(1e8, 2e8, B * H).reshape(B, H)
    layer = bind_clipped(load_backend("numpy"), "residual", parameters, "float64", rule)
    forward = layer.forward(np.zeros((T, B, 1)), training=True)
    found = layer.backward(forward.tape, None, (sent,))
    expected = sent + T * 1e-3 * parameters.weight_hh.sum(0)
    np.testing.assert_allclose(found.initial_state[0] - sent, expected - sent, atol=1e-6)
    assert np.abs(expected - sent).min() > 1e-4
    with pytest.raises(ValueError, match="no structured form"):
        adjoint_decay("residual", parameters, np.zeros((T, B, 1)), grad_final_state=(sent,), clipping=rule)


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("place", ["state", "gates"])
def test_a_threshold_out_of_reach_changes_nothing(cell: str, backend: str, place: Any) -> None:
    parameters, inputs, grad_output = scene(cell)
    rule = Clipping("value", 1e9, place=place)
    if why_not_through_time(cell, rule):
        pytest.skip("its gates cannot be had")
    layer = bound(backend, cell, rule)
    plain = layer.backend.bind(cell, parameters, "float64")
    ours, theirs = back(layer, inputs, grad_output), back(plain, inputs, grad_output)
    numpy = layer.backend.to_numpy
    np.testing.assert_allclose(numpy(ours.inputs), numpy(theirs.inputs), atol=1e-12)
    for name in theirs.parameters:
        np.testing.assert_allclose(
            numpy(ours.parameters[name]), numpy(theirs.parameters[name]), atol=1e-12, err_msg=name
        )
    assert layer.counts.changed == 0


def assert_as_hooked(
    layer: Any, inputs: Any, grad_output: Any, x: torch.Tensor, weights: Mapping[str, torch.Tensor]
) -> None:
    """Its clipped gradients are those that autograd found with hooks on the pre-activations."""
    found, numpy = back(layer, inputs, grad_output), layer.backend.to_numpy
    assert layer.counts.changed > 0
    assert x.grad is not None
    np.testing.assert_allclose(numpy(found.inputs), x.grad.numpy(), atol=1e-12)
    for name, weight in weights.items():
        assert weight.grad is not None
        np.testing.assert_allclose(
            numpy(found.parameters[name]), weight.grad.numpy(), atol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("ratio", [1.0, *FAR_ABOVE])
@pytest.mark.parametrize("backend", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_gates_are_clipped_as_torchs_hooks_do(cell: str, backend: str, ratio: float) -> None:
    """Independent autograd: a hook that clamps the gradient of each step's pre-activations."""
    limit = 0.2
    parameters, inputs, grad_output = scene(cell)
    grad_output *= ratio
    weights = {n: torch.tensor(a, requires_grad=True) for n, a in parameters.arrays().items()}
    x = torch.tensor(inputs, requires_grad=True)
    h = c = torch.zeros(B, H, dtype=torch.float64)
    outputs = []
    for t in range(T):
        a = (
            x[t] @ weights["weight_ih"].T
            + weights["bias_ih"]
            + h @ weights["weight_hh"].T
            + weights["bias_hh"]
        )
        a.register_hook(lambda grad: grad.clamp(-limit, limit))
        if cell == "lstm":
            i, f, g, o = a.split(H, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        else:
            h = a.tanh()
        outputs.append(h)
    torch.stack(outputs).backward(torch.tensor(grad_output))
    assert_as_hooked(
        bound(backend, cell, Clipping("value", limit, place="gates")), inputs, grad_output, x, weights
    )


def clamped_together(gates: Any, limit: float, rule: str) -> Any:
    """What a hook makes of the gradients of all gates of a step, (B, G·H)."""
    if rule == "value":
        return gates.clamp(-limit, limit)
    return gates * (limit / gates.norm(dim=1, keepdim=True)).clamp(max=1.0)


@pytest.mark.parametrize("ratio", [1.0, *FAR_ABOVE])
@pytest.mark.parametrize("backend", ["numpy", "naive", "numba", "torch"])
@pytest.mark.parametrize("rule", ["value", "per_sample_norm"])
@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_the_gates_of_a_gru_are_clipped_as_torchs_hooks_do(
    cell: str, rule: str, backend: str, ratio: float
) -> None:
    """Independent autograd: the pre-activations stand side by side, so that one hook sees all of them; the
    way from the candidate back to r passes by that hook and leads into what it sees of r."""
    limit = 0.1
    parameters, inputs, grad_output = scene(cell)
    grad_output *= ratio
    weights = {n: torch.tensor(a, requires_grad=True) for n, a in parameters.arrays().items()}
    u_n, b_n = weights["weight_hh"][2 * H :], weights["bias_hh"][2 * H :]
    x = torch.tensor(inputs, requires_grad=True)
    h = torch.zeros(B, H, dtype=torch.float64)
    outputs = []
    for t in range(T):
        from_x = x[t] @ weights["weight_ih"].T + weights["bias_ih"]
        from_h = h @ weights["weight_hh"].T + weights["bias_hh"]
        a_rz = from_x[:, : 2 * H] + from_h[:, : 2 * H]
        fixed = a_rz[:, :H].sigmoid().detach()
        recurrent = fixed * from_h[:, 2 * H :] if cell == "gru" else (fixed * h) @ u_n.T + b_n
        a = torch.cat([a_rz, from_x[:, 2 * H :] + recurrent], dim=1)
        a.register_hook(lambda grad: clamped_together(grad, limit, rule))
        r, z = a[:, :H].sigmoid(), a[:, H : 2 * H].sigmoid()
        moved = r - fixed  # zero, with the derivative of r
        by_r = moved * from_h.detach()[:, 2 * H :]
        if cell == "gru_reset_before":
            by_r = (moved * h.detach()) @ u_n.detach().T
        h = (1 - z) * (a[:, 2 * H :] + by_r).tanh() + z * h
        outputs.append(h)
    torch.stack(outputs).backward(torch.tensor(grad_output))
    assert_as_hooked(
        bound(backend, cell, Clipping(rule, limit, place="gates")), inputs, grad_output, x, weights
    )


def test_a_clamped_scalar_follows_its_closed_form() -> None:
    """Linear, w > 1, the loss at T alone: δ_l = min(c, w^l δ_0)."""
    w, limit, steps = 1.3, 2.0, 6
    parameters = initialize("identity", "rnn_linear", 1, 1, gain=w)
    rule = Clipping("value", limit, place="state")
    layer = bind_clipped(load_backend("numpy"), "rnn_linear", parameters, "float64", rule)
    forward = layer.forward(np.zeros((steps, 1, 1)), training=True)
    found = layer.backward(forward.tape, None, (np.ones((1, 1)),))
    assert found.initial_state[0].item() == pytest.approx(min(limit, w**steps))
    assert layer.counts.met == steps + 1


@pytest.mark.parametrize("place", ["state", "gates"])
def test_new_values_and_one_backward_per_tape(place: Any) -> None:
    parameters, inputs, grad_output = scene("lstm")
    other = initialize("orthogonal", "lstm", WIDTH, H, seed=5)
    rule = Clipping("value", 0.1, place=place)
    layer = bind_clipped(load_backend("numba"), "lstm", parameters, "float64", rule)
    layer.update(other.arrays())
    fresh = bind_clipped(load_backend("numba"), "lstm", other, "float64", rule)
    ours, theirs = back(layer, inputs, grad_output), back(fresh, inputs, grad_output)
    for name in theirs.parameters:
        np.testing.assert_array_equal(ours.parameters[name], theirs.parameters[name])
    np.testing.assert_allclose(
        layer.forward(inputs, training=False).output, layer.forward(inputs, training=True).output, atol=1e-14
    )
    tape = layer.forward(inputs, training=True).tape
    layer.backward(tape, grad_output)
    with pytest.raises(TapeUsed):
        layer.backward(tape, grad_output)


def test_what_cannot_be_had_says_so() -> None:
    rule = Clipping("value", 0.1, place="gates")
    parameters = initialize("orthogonal", "lstm_peephole", WIDTH, H)
    with pytest.raises(ValueError, match=r"'gates' cannot be had for lstm_peephole: .* it can for .*gru"):
        bind_clipped(load_backend("numpy"), "lstm_peephole", parameters, "float64", rule)
    assert why_not_through_time("gru", Clipping("value", 0.1)) is None


def test_what_is_not_finite_is_counted() -> None:
    parameters, inputs, grad_output = scene("rnn_tanh")
    layer = bind_clipped(
        load_backend("numpy"), "rnn_tanh", parameters, "float64", Clipping("value", 0.1, place="state")
    )
    grad_output[3, 1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        back(layer, inputs, grad_output)
    assert layer.counts.non_finite > 0
