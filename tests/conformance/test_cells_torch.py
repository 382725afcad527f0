"""The cells' own equations, held against torch.nn and against autograd through the equations in torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from implementations import CELLS, StepGradients
from implementations.contract import Array
from tests.conformance.one_step import HIDDEN, INPUT, Step, named

Tensors = dict[str, torch.Tensor]


def rnn(phi: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., tuple[torch.Tensor, ...]]:
    def step(w: Tensors, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (phi(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]),)

    return step


def preactivation(phi: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., tuple[torch.Tensor, ...]]:
    def step(w: Tensors, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ phi(h) + w["bias_hh"],)

    return step


def lstm(w: Tensors, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
    i, f, g, o = (w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]).chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru(w: Tensors, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x_r, x_z, x_n = (w["weight_ih"] @ x + w["bias_ih"]).chunk(3)
    h_r, h_z, h_n = (w["weight_hh"] @ h + w["bias_hh"]).chunk(3)
    z = (x_z + h_z).sigmoid()
    return ((1 - z) * (x_n + (x_r + h_r).sigmoid() * h_n).tanh() + z * h,)


def gru_reset_before(w: Tensors, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x_r, x_z, x_n = (w["weight_ih"] @ x + w["bias_ih"]).chunk(3)
    u_r, u_z, u_n = w["weight_hh"].chunk(3)
    b_r, b_z, b_n = w["bias_hh"].chunk(3)
    r, z = (x_r + u_r @ h + b_r).sigmoid(), (x_z + u_z @ h + b_z).sigmoid()
    return ((1 - z) * (x_n + u_n @ (r * h) + b_n).tanh() + z * h,)


TORCH_EQUATIONS = {
    "rnn_tanh": rnn(torch.tanh),
    "rnn_relu": rnn(torch.relu),
    "rnn_linear": rnn(lambda a: a),
    "rnn_tanh_preactivation": preactivation(torch.tanh),
    "rnn_relu_preactivation": preactivation(torch.relu),
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
}
"""Cell name -> its equations for one sample, in vectors, differentiated by autograd."""

TORCH_CELLS = {
    "rnn_tanh": lambda: torch.nn.RNNCell(INPUT, HIDDEN, dtype=torch.float64),
    "rnn_relu": lambda: torch.nn.RNNCell(INPUT, HIDDEN, nonlinearity="relu", dtype=torch.float64),
    "lstm": lambda: torch.nn.LSTMCell(INPUT, HIDDEN, dtype=torch.float64),
    "gru": lambda: torch.nn.GRUCell(INPUT, HIDDEN, dtype=torch.float64),
}


def leaf(array: Array) -> torch.Tensor:
    return torch.tensor(array, requires_grad=True)


def autograd_of(
    step: Step, w: Tensors, run: Callable[[torch.Tensor, tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]]
) -> tuple[tuple[torch.Tensor, ...], StepGradients]:
    """The state after, and every gradient, by autograd through `run`."""
    x, state = leaf(step.x), tuple(leaf(array) for array in step.state)
    after = run(x, state)
    arriving = [torch.tensor(gradient) for gradient in step.grad]
    grad_x, *rest = torch.autograd.grad(after, [x, *state, *w.values()], arriving, materialize_grads=True)
    n = len(state)
    return after, StepGradients(
        grad_x.numpy(),
        tuple(gradient.numpy() for gradient in rest[:n]),
        {name: gradient.numpy() for name, gradient in zip(w, rest[n:], strict=True)},
    )


def assert_same_step(step: Step, after: tuple[torch.Tensor, ...], gradients: StepGradients) -> None:
    for ours, theirs in zip(step.forward(), after, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
    expected = named(step, gradients)
    for name, (_, gradient) in named(step, step.backward()).items():
        np.testing.assert_allclose(gradient, expected[name][1], rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("name", TORCH_EQUATIONS)
def test_against_autograd_through_the_equations(name: str) -> None:
    step = Step(CELLS[name])
    w = {key: leaf(array) for key, array in step.parameters.arrays().items()}

    def run(x: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        samples = [TORCH_EQUATIONS[name](w, *rows) for rows in zip(x, *state, strict=True)]
        return tuple(torch.stack(rows) for rows in zip(*samples, strict=True))

    assert_same_step(step, *autograd_of(step, w, run))


@pytest.mark.parametrize("name", TORCH_CELLS)
def test_against_torch_nn(name: str) -> None:
    step, module = Step(CELLS[name]), TORCH_CELLS[name]()
    module.load_state_dict({k: torch.tensor(array) for k, array in step.parameters.arrays().items()})
    w = dict(module.named_parameters())

    def run(x: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        after = module(x, state if len(state) > 1 else state[0])
        return after if isinstance(after, tuple) else (after,)

    assert_same_step(step, *autograd_of(step, w, run))
