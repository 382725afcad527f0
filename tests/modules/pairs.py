"""A module of torch's and ours with the same weights, and what both compute on the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from implementations import modules
from tests.conformance.scene import Results, assert_agree

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}
"""Cell -> the class that computes it, and the options that make it do so."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Pair:
    """The same module twice."""

    ours: Any
    theirs: Any


def twins(cell: str, *args: Any, seed: int = 0, **options: Any) -> Pair:
    """Both constructed from the same seed: the weights are equal without being copied."""
    name, more = KINDS[cell]
    made = []
    for library in (modules, torch.nn):
        torch.manual_seed(seed)
        made.append(getattr(library, name)(*args, **more, **options))
    return Pair(*made)


@dataclass(frozen=True)
class Problem:
    """What a module is given: `input` (T, B, I), or a PackedSequence's parts; states (L·D, B, H); an order.

    Args:
        lengths: of a PackedSequence; None for a plain batch.
        layout: "batch", "batch_first", "unbatched" (the first sample alone), "packed".
    """

    input: torch.Tensor
    states: tuple[torch.Tensor, ...] | None
    lengths: torch.Tensor | None = None
    layout: str = "batch"

    def arguments(self) -> tuple[tuple[Any, Any], dict[str, torch.Tensor]]:
        """What a forward takes, and the leaves under it by name."""
        leaves = {"input": self.input.clone().requires_grad_()}
        for place, state in enumerate(self.states or ()):
            leaves[f"state_{place}"] = state.clone().requires_grad_()
        states = [leaf for name, leaf in leaves.items() if name != "input"]
        given: Any = leaves["input"]
        if self.layout == "batch_first":
            given = given.transpose(0, 1)
        elif self.layout == "unbatched":
            given, states = given[:, 0], [state[:, 0] for state in states]
        elif self.layout == "packed":
            assert self.lengths is not None
            given = pack_padded_sequence(given, self.lengths, enforce_sorted=False)
        hx = None if self.states is None else tuple(states) if len(states) == 2 else states[0]
        return (given, hx), leaves


def draw(module: Any, layout: str, *, seq_len: int, batch_size: int, states: bool, seed: int = 0) -> Problem:
    """A problem for a module, in its dtype."""
    generator = torch.Generator().manual_seed(seed)
    dtype = module.weight_ih_l0.dtype

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator, dtype=torch.float64).to(dtype)

    places = module.num_layers * (2 if module.bidirectional else 1)
    count = 2 if isinstance(module, torch.nn.LSTM) else 1
    start = tuple(normal(places, batch_size, module.hidden_size) for _ in range(count))
    lengths = torch.randint(1, seq_len + 1, (batch_size,), generator=generator)
    lengths[0] = seq_len
    return Problem(
        normal(seq_len, batch_size, module.input_size),
        start if states else None,
        lengths[torch.randperm(batch_size, generator=generator)],
        layout,
    )


def results(module: Any, problem: Problem, *, seed: int = 0) -> Results:
    """Output, final states and all gradients, of a loss that weighs every element differently."""
    module.zero_grad()
    (given, hx), leaves = problem.arguments()
    torch.manual_seed(seed)
    output, final = module(given, hx)
    data = output.data if isinstance(output, PackedSequence) else output
    named = {"output": data}
    for place, state in enumerate(final if isinstance(final, tuple) else (final,)):
        named[f"final_{place}"] = state
    generator = torch.Generator().manual_seed(1)
    loss: Any = 0
    for tensor in named.values():
        loss = loss + (tensor * torch.randn(tensor.shape, generator=generator).to(tensor.dtype)).sum()
    loss.backward()
    grads = {name: leaf.grad for name, leaf in (*leaves.items(), *module.named_parameters())}
    found = {name: tensor.detach() for name, tensor in named.items()}
    found |= {f"grad_{name}": grad for name, grad in grads.items() if grad is not None}
    return {name: tensor.numpy().copy() for name, tensor in found.items()}


def assert_twins(
    pair: Pair, problem: Problem, dtype: str, change: Callable[[Any], Any] | None = None
) -> None:
    """Both give the same; `change`, if any, is made to both before."""
    for module in (pair.ours, pair.theirs) if change else ():
        change(module)
    ours, theirs = results(pair.ours, problem), results(pair.theirs, problem)
    assert ours.keys() == theirs.keys()
    assert {name: array.shape for name, array in ours.items()} == {
        name: array.shape for name, array in theirs.items()
    }
    assert {array.dtype for array in ours.values()} == {np.dtype(dtype)}
    assert_agree(ours, theirs, dtype)
