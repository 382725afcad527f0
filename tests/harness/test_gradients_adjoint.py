"""δ_k and the parameter gradients against autograd, closed forms, and every place of clipping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.clipping import CLIPPING_RULES, Clipping
from harness.gradients import adjoint_decay, jacobian_decay
from harness.gradients.trajectory import run_forward
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS


def scalar(w: float) -> Parameters:
    return Parameters(np.zeros((1, 1)), np.array([[w]]), np.zeros(1), np.zeros(1))


def draw(cell: str, seq_len: int = 8, gain: float = 1.5) -> tuple[Parameters, Any, Any, tuple[Any, ...]]:
    rng = np.random.default_rng(5)
    parameters = initialize("pytorch_uniform", cell, 3, 4, seed=2, gain=gain)
    final = tuple(rng.standard_normal((2, 4)) for _ in CELLS[cell].state_names)
    return parameters, rng.standard_normal((seq_len, 2, 3)), rng.standard_normal((seq_len, 2, 4)), final


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_delta_and_parameter_gradients_against_autograd(cell: str) -> None:
    parameters, inputs, grad_output, final = draw(cell)
    names = CELLS[cell].state_names
    kind = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}.get(cell, torch.nn.RNNCell)
    options = {} if kind is not torch.nn.RNNCell else {"nonlinearity": cell.removeprefix("rnn_")}
    module = kind(3, 4, **options).double()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in parameters.arrays().items()})
    state: Any = tuple(torch.zeros(2, 4).double().requires_grad_() for _ in names)
    hidden, loss = [state[0]], torch.zeros(()).double()
    for x, grad in zip(torch.from_numpy(inputs), torch.from_numpy(grad_output), strict=True):
        state = module(x, state if len(names) > 1 else state[0])
        state = state if len(names) > 1 else (state,)
        # A view of h of its own, so that δ_k leaves out what reaches c_k and only then h_k.
        h = state[0].clone()
        h.retain_grad()
        hidden.append(h)
        state = (h, *state[1:])
        loss = loss + (h * grad).sum()
    for array, grad in zip(state, final, strict=True):
        loss = loss + (array * torch.from_numpy(grad)).sum()
    loss.backward()
    adjoint = adjoint_decay(cell, parameters, inputs, grad_output=grad_output, grad_final_state=final)
    for k, h in enumerate(hidden):
        expected = np.linalg.norm(h.grad.numpy(), axis=1)
        np.testing.assert_allclose(10 ** adjoint.log10_total[k], expected, rtol=1e-11)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(adjoint.parameters[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_the_direct_part_is_what_the_loss_sends_itself() -> None:
    parameters, inputs, grad_output, final = draw("lstm")
    adjoint = adjoint_decay("lstm", parameters, inputs, grad_output=grad_output, grad_final_state=final)
    assert (adjoint.log10_direct[0] == -np.inf).all()
    np.testing.assert_allclose(10 ** adjoint.log10_direct[3], np.linalg.norm(grad_output[2], axis=1))
    np.testing.assert_allclose(
        10 ** adjoint.log10_direct[-1], np.linalg.norm(grad_output[-1] + final[0], axis=1)
    )
    np.testing.assert_array_equal(adjoint.log10_direct[-1], adjoint.log10_total[-1])


@pytest.mark.parametrize("cell", CELLS)
def test_adjoint_identity(cell: str) -> None:
    """The adjoint of one unit of h_T is a row of ∂h_T/∂h_k: rows together have its Frobenius norm."""
    parameters, inputs, _, _ = draw(cell)
    squares = 0.0
    for unit in range(4):
        final = [np.zeros((2, 4)) for _ in CELLS[cell].state_names]
        final[0][:, unit] = 1.0
        squares += 10 ** (2 * adjoint_decay(cell, parameters, inputs, grad_final_state=final).log10_total)
    decay = jacobian_decay(cell, parameters, inputs)
    np.testing.assert_allclose(np.sqrt(squares)[::-1], 10 ** decay.log10_frobenius_norm["hh"], rtol=1e-10)


@pytest.mark.parametrize("w", [1.5, 0.3])
def test_nothing_under_or_overflows(w: float) -> None:
    adjoint = adjoint_decay(
        "rnn_linear", scalar(w), np.zeros((3000, 1, 1)), grad_final_state=(np.ones((1, 1)),)
    )
    np.testing.assert_allclose(adjoint.log10_total[::-1, 0], np.arange(3001) * np.log10(w), atol=1e-9)


@pytest.mark.parametrize("w", [1.01, 1.7, -1.2])
@pytest.mark.parametrize("threshold", [0.5, 3.0])
def test_clamping_at_each_step_of_a_growing_scalar(w: float, threshold: float) -> None:
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(w),
        np.zeros((90, 1, 1)),
        grad_final_state=(np.full((1, 1), 0.2),),
        clipping=Clipping("value", threshold, place="state"),
    )
    expected = np.minimum(threshold, 0.2 * abs(w) ** np.arange(91))
    np.testing.assert_allclose(10 ** adjoint.log10_total[::-1, 0], expected, rtol=1e-10)
    np.testing.assert_array_equal(adjoint.clipped[::-1, 0], 0.2 * abs(w) ** np.arange(91) > threshold)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sent", [1e4, 1e10, 1e20, 1e30])
def test_a_gate_that_clips_by_far_keeps_what_it_leaves(sent: float, dtype: str, device: str) -> None:
    """h' = h/2, 1 is the limit at the gate: δ_k = 2^−(T−k) below T, however large δ_T."""
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(0.5),
        np.zeros((3, 1, 1)),
        grad_final_state=(np.full((1, 1), sent),),
        clipping=Clipping("value", 1.0, place="gates"),
        dtype=dtype,
        device=device,
    )
    np.testing.assert_allclose(10 ** adjoint.log10_total[:3, 0], [0.125, 0.25, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(adjoint.clipped[:, 0], [False, False, False, True])


def test_gates_beyond_single_precision_are_clipped_by_their_norm() -> None:
    """h' = 20 h, 1e38 is the limit: what reaches the second gate is 2e39."""
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(20.0),
        np.zeros((2, 1, 1)),
        grad_final_state=(np.full((1, 1), 3e38),),
        clipping=Clipping("global_norm_pascanu", 1e38, place="gates"),
        dtype="float32",
    )
    np.testing.assert_allclose(adjoint.log10_total[:2, 0], np.log10(2e39), rtol=1e-6)
    assert adjoint.non_finite == 0


@pytest.mark.parametrize("rule", ["value", "per_sample_norm", "per_tensor_norm", "global_norm"])
def test_state_clipping_bounds_every_delta_and_spares_small_ones(rule: str) -> None:
    parameters, inputs, grad_output, final = draw("lstm", seq_len=30, gain=4.0)
    free = adjoint_decay("lstm", parameters, inputs, grad_output=grad_output, grad_final_state=final)
    tight, loose = (
        adjoint_decay(
            "lstm",
            parameters,
            inputs,
            grad_output=grad_output,
            grad_final_state=final,
            clipping=Clipping(rule, threshold, place="state"),
        )
        for threshold in (0.05, 1e9)
    )
    assert (10**tight.log10_total <= 0.05 * (2.0 if rule == "value" else 1.0) * (1 + 1e-12)).all()
    assert tight.clipped[1:].all()
    np.testing.assert_array_equal(loose.log10_total, free.log10_total)
    assert not loose.clipped.any()


def test_per_sample_and_global_norm_differ_where_samples_do() -> None:
    final = (np.array([[3.0, 0, 0, 0], [0.1, 0, 0, 0]]),)
    parameters, inputs, _, _ = draw("rnn_tanh")
    ends = [
        adjoint_decay(
            "rnn_tanh",
            parameters,
            inputs,
            grad_final_state=final,
            clipping=Clipping(rule, 1.0, place="state"),
        ).log10_total[-1]
        for rule in ("per_sample_norm", "global_norm_pascanu")
    ]
    np.testing.assert_allclose(10 ** ends[0], [1.0, 0.1])
    np.testing.assert_allclose(10 ** ends[1], np.array([3.0, 0.1]) / np.hypot(3.0, 0.1))


@pytest.mark.parametrize("rule", [r for r in CLIPPING_RULES if "parameters" in CLIPPING_RULES[r].places])
def test_parameter_clipping_leaves_every_delta_as_it_was(rule: str) -> None:
    parameters, inputs, grad_output, _ = draw("gru")
    free = adjoint_decay("gru", parameters, inputs, grad_output=grad_output)
    clipping = Clipping(rule, 1e-3)
    clipped = adjoint_decay("gru", parameters, inputs, grad_output=grad_output, clipping=clipping)
    np.testing.assert_array_equal(clipped.log10_total, free.log10_total)
    expected = clipping.apply(free.parameters, parameters.arrays()).gradients
    for name, array in expected.items():
        np.testing.assert_array_equal(clipped.parameters[name], array)
        assert rule == "none" or not np.array_equal(array, free.parameters[name])


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
@pytest.mark.parametrize("steps", [1, 3, 8, 100])
def test_truncation_with_the_loss_at_the_end(cell: str, steps: int) -> None:
    parameters, inputs, _, final = draw(cell)
    free = adjoint_decay(cell, parameters, inputs, grad_final_state=final)
    cut = adjoint_decay(
        cell, parameters, inputs, grad_final_state=final, clipping=Clipping("truncated", steps=steps)
    )
    reached = np.arange(9)[::-1] <= steps
    np.testing.assert_allclose(cut.log10_total[reached], free.log10_total[reached], atol=1e-10)
    assert (cut.log10_total[~reached] == -np.inf).all()
    np.testing.assert_array_equal(cut.clipped[:, 0], ~reached)
    if steps >= 8:
        for name, array in free.parameters.items():
            np.testing.assert_allclose(cut.parameters[name], array, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("w", [0.01, 0.3, 100.0])
def test_truncation_neither_under_nor_overflows(w: float, device: str, dtype: str) -> None:
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(w),
        np.zeros((200, 1, 1)),
        grad_final_state=(np.ones((1, 1)),),
        clipping=Clipping("truncated", steps=200),
        dtype=dtype,
        device=device,
    )
    np.testing.assert_allclose(adjoint.log10_total[::-1, 0], np.arange(201) * np.log10(w), atol=1e-4)
    if w < 1.0:
        np.testing.assert_allclose(adjoint.parameters["bias_ih"], 1.0 / (1.0 - w), rtol=1e-6)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("place", ["state", "gates"])
def test_a_norm_far_below_the_range_is_no_inf(place: Any, device: str) -> None:
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(0.1),
        np.zeros((400, 1, 1)),
        grad_final_state=(np.full((1, 1), 0.5),),
        clipping=Clipping("global_norm", 1.0, place=place),
        device=device,
    )
    np.testing.assert_allclose(adjoint.log10_total[::-1, 0], np.log10(0.5) - np.arange(401), atol=1e-9)
    assert adjoint.non_finite == 0


EDGES = [
    *(("float64", sent) for sent in (8e307, 1.7e308, 1e-310, 5e-324)),
    *(("float32", sent) for sent in (1.8e38, 3e38, 1e-40, 2.0**-149)),
]


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("dtype", "sent"), EDGES)
def test_the_edges_of_the_range(dtype: str, sent: float, device: str) -> None:
    """h' = h/2, from the largest and the smallest numbers that there are."""
    exact = float(np.dtype(dtype).type(sent))
    for rule in (
        None,
        Clipping("value", 1.0, place="state"),
        Clipping("global_norm_pascanu", 1.0, place="state"),
        Clipping("truncated", steps=4),
    ):
        adjoint = adjoint_decay(
            "rnn_linear",
            scalar(0.5),
            np.zeros((4, 1, 1)),
            grad_final_state=(np.full((1, 1), sent),),
            clipping=rule,
            dtype=dtype,
            device=device,
        )
        clipped = rule is not None and rule.rule != "truncated"
        first = min(np.log10(exact), 0.0) if clipped else np.log10(exact)
        expected = first + np.arange(5) * np.log10(0.5)
        np.testing.assert_allclose(adjoint.log10_total[::-1, 0], expected, atol=1e-6)
        assert adjoint.log10_direct[-1, 0] == pytest.approx(np.log10(exact))
        assert adjoint.non_finite == 0


def test_a_threshold_beyond_single_precision_is_one_all_the_same() -> None:
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(1e30),
        np.zeros((3, 1, 1)),
        grad_final_state=(np.ones((1, 1)),),
        clipping=Clipping("value", 1e50, place="state"),
        dtype="float32",
    )
    np.testing.assert_allclose(adjoint.log10_total[::-1, 0], [0.0, 30.0, 50.0, 50.0], atol=1e-6)


def test_truncation_lets_each_loss_travel_by_itself() -> None:
    """On a scalar linear network with loss gradient 1 at every step: δ_k = 1 + w + … + w^K."""
    w, steps, seq_len = 0.9, 4, 20
    adjoint = adjoint_decay(
        "rnn_linear",
        scalar(w),
        np.zeros((seq_len, 1, 1)),
        grad_output=np.ones((seq_len, 1, 1)),
        clipping=Clipping("truncated", steps=steps),
    )
    direct = np.r_[0.0, np.ones(seq_len)]
    expected = [
        sum(direct[t] * w ** (t - k) for t in range(k, min(seq_len, k + steps) + 1)) for k in range(21)
    ]
    np.testing.assert_allclose(10 ** adjoint.log10_total[:, 0], expected, rtol=1e-12)


def test_nothing_given_is_changed() -> None:
    parameters, inputs, grad_output, final = draw("lstm")
    given = [inputs, grad_output, *final, *parameters.arrays().values()]
    before = [array.copy() for array in given]
    adjoint_decay(
        "lstm",
        parameters,
        inputs,
        grad_output=grad_output,
        grad_final_state=final,
        clipping=Clipping("value", 0.1, place="state"),
    )
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_is_refused() -> None:
    parameters, inputs, grad_output, final = draw("lstm")
    with pytest.raises(ValueError, match="grad_output or grad_final_state must be given"):
        adjoint_decay("lstm", parameters, inputs)
    with pytest.raises(ValueError, match=r"grad_output must be \(8, 2, 4\), got \(7, 2, 4\)"):
        adjoint_decay("lstm", parameters, inputs, grad_output=grad_output[1:])
    with pytest.raises(ValueError, match=r"grad_final_state must be a tuple \(h, c\), got 1 arrays"):
        adjoint_decay("lstm", parameters, inputs, grad_final_state=final[:1])
    with pytest.raises(ValueError, match="place 'gates' cannot be had for rnn_tanh_preactivation"):
        adjoint_decay(
            "rnn_tanh_preactivation",
            draw("rnn_tanh_preactivation")[0],
            inputs,
            grad_output=grad_output,
            clipping=Clipping("value", 1.0, place="gates"),
        )
    grad_output[2, 0, 1] = np.nan
    with pytest.raises(ValueError, match=r"grad_output must be finite, got nan at index \(2, 0, 1\)"):
        adjoint_decay("lstm", parameters, inputs, grad_output=grad_output)


def test_the_final_cell_state_has_a_gradient_of_its_own() -> None:
    parameters, inputs, _, final = draw("lstm")
    through_c = adjoint_decay("lstm", parameters, inputs, grad_final_state=(None, final[1]))
    assert (through_c.log10_total[-1] == -np.inf).all()
    assert np.isfinite(through_c.log10_total[-2]).all()
    assert np.isfinite(run_forward("lstm", parameters, inputs).states[1]).all()
