"""The LSTM's variants against torch's autograd of the equations as the paper prints them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.initializations import initialize
from implementations import CELLS, Parameters, load_backend
from implementations.cells.lstm_variants import LSTMVariant

VARIANTS = [name for name, cell in CELLS.items() if isinstance(cell, LSTMVariant)]
STEPS, BATCH, WIDTH, H = 4, 3, 2, 5


def drawn(name: str) -> Parameters:
    rng = np.random.default_rng(0)
    shapes = CELLS[name].parameter_shapes(WIDTH, H)
    return Parameters.from_arrays({key: rng.standard_normal(shape) for key, shape in shapes.items()})


def step_as_printed(
    name: str, w: dict[str, torch.Tensor], x: torch.Tensor, state: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    """Greff et al. 2017, section II and appendix, one statement per equation and variant; one sample."""
    h, c, *before = state
    a = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
    parts = dict(zip(CELLS[name].gates, a.split(H), strict=True))
    if name == "lstm_gate_recurrence":
        more = (w["weight_gates"] @ torch.cat(before)).split(H)
        parts |= {gate: parts[gate] + extra for gate, extra in zip("ifo", more, strict=True)}
    p_i, p_f, p_o = w["weight_peephole"] if name == "lstm_peephole" else torch.zeros(3, H)
    i = torch.sigmoid(parts["i"] + p_i * c) if name != "lstm_no_input_gate" else torch.ones_like(h)
    if name == "lstm_coupled":
        f = 1 - i
    elif name == "lstm_no_forget_gate":
        f = torch.ones_like(h)
    else:
        f = torch.sigmoid(parts["f"] + p_f * c)
    g = parts["g"] if name == "lstm_no_input_activation" else torch.tanh(parts["g"])
    c = i * g + f * c
    o = torch.sigmoid(parts["o"] + p_o * c) if name != "lstm_no_output_gate" else torch.ones_like(h)
    h = o * (c if name == "lstm_no_output_activation" else torch.tanh(c))
    return (h, c, i, f, o) if name == "lstm_gate_recurrence" else (h, c)


def as_printed(name: str, w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """All outputs (T, B, H), from the state zero."""
    nothing = torch.zeros(H, dtype=torch.float64)
    samples = []
    for b in range(BATCH):
        state, outputs = (nothing,) * len(CELLS[name].state_names), []
        for row in x[:, b]:
            state = step_as_printed(name, w, row, state)
            outputs.append(state[0])
        samples.append(torch.stack(outputs))
    return torch.stack(samples, dim=1)


def test_there_are_eight() -> None:
    assert len(VARIANTS) == 8


@pytest.mark.parametrize("name", VARIANTS)
def test_forward_and_gradients_are_the_papers(name: str) -> None:
    rng = np.random.default_rng(1)
    inputs, grad_output = rng.standard_normal((STEPS, BATCH, WIDTH)), rng.standard_normal((STEPS, BATCH, H))
    parameters = drawn(name)
    weights = {key: torch.tensor(array, requires_grad=True) for key, array in parameters.arrays().items()}
    x = torch.tensor(inputs, requires_grad=True)
    expected = as_printed(name, weights, x)
    expected.backward(torch.tensor(grad_output))
    layer = load_backend("numpy").bind(name, parameters, "float64")
    forward = layer.forward(inputs, training=True)
    np.testing.assert_allclose(forward.output, expected.detach().numpy(), atol=1e-13)
    found = layer.backward(forward.tape, grad_output)
    np.testing.assert_allclose(found.inputs, x.grad.numpy(), atol=1e-12)
    for key, weight in weights.items():
        np.testing.assert_allclose(found.parameters[key], weight.grad.numpy(), atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", VARIANTS)
def test_one_step_jacobian_is_that_of_torch(name: str) -> None:
    """Every block of ∂(state after)/∂(state before)."""
    rng = np.random.default_rng(3)
    parameters, cell = drawn(name), CELLS[name]
    x = rng.standard_normal((BATCH, WIDTH))
    state = tuple(rng.standard_normal((BATCH, H)) for _ in cell.state_names)
    found = cell.step_jacobian(parameters, x, state)
    weights = {key: torch.tensor(array) for key, array in parameters.arrays().items()}

    def whole(before: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        return torch.cat(step_as_printed(name, weights, row, before.split(H)))

    for b in range(BATCH):
        before = torch.tensor(np.concatenate([part[b] for part in state]))
        expected = torch.func.jacrev(whole)(before, torch.tensor(x[b]))
        np.testing.assert_allclose(found[b], expected.numpy(), atol=1e-13)


@pytest.mark.parametrize("name", ["lstm_peephole", "lstm_gate_recurrence"])
def test_what_is_added_starts_at_nothing(name: str) -> None:
    """Extras start at zero: such a cell begins as the plain LSTM."""
    inputs = np.random.default_rng(2).standard_normal((STEPS, BATCH, WIDTH))
    backend = load_backend("numpy")
    variant = backend.bind(name, initialize("orthogonal", name, WIDTH, H), "float64")
    plain = backend.bind("lstm", initialize("orthogonal", "lstm", WIDTH, H), "float64")
    outputs = [layer.forward(inputs, training=False).output for layer in (variant, plain)]
    np.testing.assert_allclose(*outputs, atol=1e-14)


def test_coupling_saves_a_gate() -> None:
    shapes = {name: CELLS[name].parameter_shapes(2, 4)["weight_hh"][0] // 4 for name in VARIANTS}
    assert shapes == {
        "lstm_peephole": 4, "lstm_coupled": 3, "lstm_no_input_gate": 3, "lstm_no_forget_gate": 3,
        "lstm_no_output_gate": 3, "lstm_no_input_activation": 4, "lstm_no_output_activation": 4,
        "lstm_gate_recurrence": 4,
    }  # fmt: skip
