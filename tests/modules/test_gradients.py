"""Autograd through the kernels: against finite differences, and in the ways in which people use a graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from implementations import modules
from tests.modules.pairs import KINDS, twins

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "stacked": {"num_layers": 2},
    "bidirectional": {"bidirectional": True},
    "stacked, bidirectional": {"num_layers": 2, "bidirectional": True},
}


def gru(**options: Any) -> Any:
    torch.manual_seed(0)
    return modules.GRU(3, 4, dtype=torch.float64, **options)


def inputs(*sizes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*(sizes or (5, 2, 3)), generator=generator, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("cell", KINDS)
def test_gradcheck(cell: str, options: dict[str, Any], packed: bool) -> None:
    """With respect to input, states and every weight; of output and final states."""
    module = twins(cell, 2, 3, dtype=torch.float64, **options).ours
    places = module.num_layers * (2 if module.bidirectional else 1)
    names = [name for name, _ in module.named_parameters()]
    states = [inputs(places, 3, 3) for _ in range(2 if cell == "lstm" else 1)]

    def forward(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        weights = dict(zip(names, rest[len(states) :], strict=True))
        hx = rest[: len(states)]
        given: Any = x
        if packed:
            given = pack_padded_sequence(x, torch.tensor([2, 4, 1]), enforce_sorted=False)
        output, final = torch.func.functional_call(module, weights, (given, hx if len(hx) > 1 else hx[0]))
        data = output.data if isinstance(output, PackedSequence) else output
        return data, *(final if isinstance(final, tuple) else (final,))

    arguments = (inputs(4, 3, 2), *states, *module.parameters())
    # one random direction of each array: of all elements it would take a minute
    assert torch.autograd.gradcheck(forward, arguments, fast_mode=True)


def test_gradcheck_of_every_element() -> None:
    module = gru(num_layers=2, bidirectional=True)
    assert torch.autograd.gradcheck(lambda x: module(x)[0], (inputs(3, 2, 3),))


def test_gradcheck_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is wrong in one weight's last row is found."""
    from implementations.stack import Stack

    right = Stack.backward

    def wrong(self: Any, *args: Any) -> Any:
        gradients = right(self, *args)
        gradients.parameters["weight_hh_l0"][-1] *= 1.01
        return gradients

    monkeypatch.setattr(Stack, "backward", wrong)
    module = gru()
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(
            lambda w: torch.func.functional_call(module, {"weight_hh_l0": w}, (inputs(),))[0],
            (module.weight_hh_l0,),
        )


def test_a_retained_graph_serves_again() -> None:
    module, x = gru(num_layers=2), inputs()
    loss = module(x)[0].square().sum()
    first = torch.autograd.grad(loss, [x, *module.parameters()], retain_graph=True)
    again = torch.autograd.grad(loss, [x, *module.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_gradients_of_gradients_are_refused() -> None:
    """Not dropped in silence: a penalty on the gradient would otherwise lose its part."""
    module, x = gru(), inputs()
    (gradient,) = torch.autograd.grad(module(x)[0].sum(), x, create_graph=True)
    assert gradient.requires_grad
    with pytest.raises(RuntimeError, match="gradients of gradients are not computed"):
        (gradient.square().sum() + module.weight_hh_l0.sum()).backward()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use
def test_forward_mode_is_refused() -> None:
    module = gru().requires_grad_(False)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(
            inputs().detach(), torch.ones(5, 2, 3, dtype=torch.float64)
        )
        with pytest.raises(NotImplementedError, match="jvp"):
            module(dual)


@pytest.mark.parametrize("changed", ["input", "weight"])
def test_what_is_changed_before_the_backward_is_noticed(changed: str) -> None:
    module, x = gru(), inputs().detach().clone()
    output, _ = module(x)
    with torch.no_grad():
        (x if changed == "input" else module.weight_hh_l0).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_output_may_be_overwritten(options: dict[str, Any]) -> None:
    """As torch's GRU lets it: dropout in place, masks, `relu_`."""
    pair = twins("gru", 3, 4, dtype=torch.float64, **options)
    for module in (pair.ours, pair.theirs):
        output, hidden = module(inputs().detach())
        output[2:].mul_(0)
        hidden.mul_(0)
        output.sum().backward()
    for one, other in zip(pair.ours.parameters(), pair.theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_no_two_gradients_share_memory() -> None:
    """Clipping scales in place, and would scale both."""
    module = gru(num_layers=2, bidirectional=True)
    module(inputs())[0].sum().backward()
    blocks = sorted((p.grad.data_ptr(), p.grad.numel() * p.grad.element_size()) for p in module.parameters())
    assert all(start + size <= after for (start, size), (after, _) in pairwise(blocks))


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool) -> None:
    module = gru(num_layers=2)
    module(x := inputs())[0].square().sum().backward()
    checkpoint(lambda x: module(x)[0], again := inputs(), use_reentrant=reentrant).square().sum().backward()
    assert torch.equal(x.grad, again.grad)


def test_parts_that_nothing_depends_on() -> None:
    """The loss may see the cell state alone, or the output alone."""
    pair = twins("lstm", 3, 4, dtype=torch.float64)
    for choose in (lambda out: out[1][1], lambda out: out[1][0], lambda out: out[0]):
        found = [
            torch.autograd.grad(choose(m(inputs())).sum(), m.weight_hh_l0)[0]
            for m in (pair.ours, pair.theirs)
        ]
        torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)
