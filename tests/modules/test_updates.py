"""New weight values are seen at the next call, however they came to be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from implementations import modules
from implementations.modules.binding import Binding
from tests.modules.pairs import Pair, assert_twins, draw, twins


def by_optimizer(module: Any) -> None:
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight)
    torch.optim.Adam(module.parameters(), lr=0.1).step()


def by_data_in_place(module: Any) -> None:
    """Neither the version counter nor the address changes."""
    module.weight_hh_l0.data.clamp_(-0.1, 0.1)


def by_data_assignment(module: Any) -> None:
    module.weight_hh_l0.data = module.weight_hh_l0.data + 1


def by_numpy(module: Any) -> None:
    module.bias_hh_l1.detach().numpy()[:] = 0.5


def by_new_parameter(module: Any) -> None:
    module.weight_ih_l1 = torch.nn.Parameter(module.weight_ih_l1.detach() * 2)


def by_state_dict(module: Any) -> None:
    module.load_state_dict({name: tensor * 0.5 for name, tensor in module.state_dict().items()})


def by_initialization(module: Any) -> None:
    torch.manual_seed(5)
    module.reset_parameters()


def by_conversion(module: Any) -> None:
    module.double()
    module.float()


def by_another_stride(module: Any) -> None:
    module.weight_hh_l0.data = module.weight_hh_l0.data.t().contiguous().t() * 2


CHANGES: list[Callable[[Any], None]] = [
    by_optimizer,
    by_data_in_place,
    by_data_assignment,
    by_numpy,
    by_new_parameter,
    by_state_dict,
    by_initialization,
    by_conversion,
    by_another_stride,
]


def stacked() -> Pair:
    return twins("gru", 3, 4, num_layers=2)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_seen(change: Callable[[Any], None]) -> None:
    pair = stacked()
    problem = draw(pair.ours, "batch", seq_len=5, batch_size=3, states=True)
    assert_twins(pair, problem, "float32")
    assert_twins(pair, problem, "float32", change)
    if change is by_conversion:
        return
    with pytest.raises(AssertionError, match="relative error"):
        assert_twins(Pair(pair.ours, stacked().theirs), problem, "float32")


def test_unchanged_weights_are_packed_once() -> None:
    module = stacked().ours
    module(torch.zeros(5, 2, 3))
    layers = list(module._binding.stack(tuple(module.parameters())).layers)
    packed = [layer._packed for layer in layers]
    module(torch.zeros(5, 2, 3))
    assert [layer._packed for layer in layers] == packed
    by_data_in_place(module)
    module(torch.zeros(5, 2, 3))
    assert [layer._packed for layer in layers] != packed
    assert module._binding.stack(tuple(module.parameters())).layers == layers


def test_a_nan_is_no_change_and_the_two_zeros_are_one() -> None:
    weights = [torch.zeros(3, 2), torch.zeros(3, 3), torch.zeros(3), torch.zeros(3)]
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    binding = Binding("rnn_tanh", names, bidirectional=False, bias=True)
    weights[0][0, 0] = float("nan")
    (layer,) = binding.stack(tuple(weights)).layers
    packed = layer._packed
    binding.stack(tuple(weights))
    assert layer._packed is packed
    weights[1][0, 0] = -0.0
    binding.stack(tuple(weights))
    assert layer._packed is not packed


def test_other_weights_for_one_call() -> None:
    """torch.func.functional_call, as meta-learning uses it; the module's own are as before afterwards."""
    pair = stacked()
    problem = draw(pair.ours, "batch", seq_len=5, batch_size=3, states=True)
    others = {name: tensor * 2 for name, tensor in pair.theirs.state_dict().items()}
    ours, theirs = (
        torch.func.functional_call(m, others, (problem.input,))[0] for m in (pair.ours, pair.theirs)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert_twins(pair, problem, "float32")


def test_parametrized_weights() -> None:
    """torch.nn.utils.parametrize puts a function in a weight's place."""
    module = modules.RNN(3, 4)
    torch.nn.utils.parametrizations.orthogonal(module, "weight_hh_l0")
    module(torch.ones(5, 2, 3))[0].sum().backward()
    (original,) = module.parametrizations["weight_hh_l0"].parameters()
    assert original.grad.abs().sum() > 0
