"""Structures unrolled step by step in torch, for autograd: the truth that compositions are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from implementations.contract import Array, Parameters
from implementations.registry import CELLS
from implementations.structure import Structure

MODULES = {
    "rnn_tanh": torch.nn.RNNCell,
    "lstm": torch.nn.LSTMCell,
    "gru": torch.nn.GRUCell,
}


def draw_layers(cell: str, structure: Structure, input_size: int, hidden_size: int) -> list[Parameters]:
    """Parameters of every place, weights of about the size that keeps states alive."""
    rng = np.random.default_rng([structure.num_layers, structure.skip, hidden_size])
    found = []
    for width in structure.widths(input_size, hidden_size):
        shapes = CELLS[cell].parameter_shapes(width, hidden_size)
        scale = 0.8 / np.sqrt(hidden_size)
        found.append(Parameters.from_arrays({k: scale * rng.standard_normal(s) for k, s in shapes.items()}))
    return found


@dataclass(frozen=True)
class Unrolled:
    """Nodes of the graph.

    Args:
        output: (T, B, D·H).
        nodes: per layer, per direction, per step in time: the state's tensors (B, H).
        weights: per place, name -> tensor.
    """

    output: torch.Tensor
    nodes: list[list[list[tuple[torch.Tensor, ...]]]]
    weights: list[dict[str, torch.Tensor]]

    def final_state(self) -> tuple[torch.Tensor, ...]:
        last = [
            steps[0] if reverse else steps[-1] for sides in self.nodes for reverse, steps in enumerate(sides)
        ]
        return tuple(torch.stack(each) for each in zip(*last, strict=True))


def unroll(
    cell: str,
    structure: Structure,
    layers: Sequence[Parameters],
    inputs: torch.Tensor,
    initial_state: tuple[torch.Tensor, ...],
) -> Unrolled:
    """One Python step after the other, one torch cell at a time."""
    below: list[torch.Tensor] = list(inputs)
    nodes, weights = [], []
    place = 0
    for _ in range(structure.num_layers):
        sides = []
        for reverse in range(structure.directions):
            parameters = layers[place]
            module = MODULES[cell](parameters.input_size, parameters.hidden_size).double()
            module.load_state_dict({k: torch.from_numpy(v) for k, v in parameters.arrays().items()})
            weights.append(dict(module.named_parameters()))
            states = tuple(s[place] for s in initial_state)
            sides.append(_run(module, below[::-1] if reverse else below, states, structure.skip))
            if reverse:
                sides[-1].reverse()
            place += 1
        nodes.append(sides)
        written = [torch.cat([side[t][0] for side in sides], 1) for t in range(len(below))]
        adds = structure.adds(below[0].shape[1], written[0].shape[1])
        below = [a + b for a, b in zip(written, below, strict=True)] if adds else written
    return Unrolled(torch.stack(below), nodes, weights)


def _run(module: Any, inputs: Sequence[torch.Tensor], state: Any, skip: int) -> list[Any]:
    found: list[Any] = []
    for t, x in enumerate(inputs):
        if skip:
            past = found[t - skip][0] if t >= skip else torch.zeros_like(state[0])
            x = torch.cat([x, past], 1)
        after = module(x, state if len(state) == 2 else state[0])
        state = after if isinstance(after, tuple) else (after,)
        found.append(state)
    return found


def draw_numbers(cell: str, structure: Structure, sizes: tuple[int, int, int, int]) -> dict[str, Any]:
    """inputs, initial_state, grad_output, grad_final_state; `sizes` is (T, B, I, H)."""
    seq_len, batch_size, input_size, hidden_size = sizes
    rng = np.random.default_rng(7)
    places = structure.num_layers * structure.directions
    states = CELLS[cell].state_names

    def state() -> tuple[Array, ...]:
        return tuple(rng.standard_normal((places, batch_size, hidden_size)) for _ in states)

    return {
        "inputs": rng.standard_normal((seq_len, batch_size, input_size)),
        "initial_state": state(),
        "grad_output": rng.standard_normal((seq_len, batch_size, structure.directions * hidden_size)),
        "grad_final_state": state(),
    }


def expected(cell: str, structure: Structure, layers: Sequence[Parameters], numbers: dict[str, Any]) -> Any:
    """Every result by autograd: name -> array."""
    inputs = torch.from_numpy(numbers["inputs"]).requires_grad_()
    initial = tuple(torch.from_numpy(a).requires_grad_() for a in numbers["initial_state"])
    found = unroll(cell, structure, layers, inputs, initial)
    final = found.final_state()
    names = [
        f"{name}_l{place // structure.directions}{'_reverse' if place % structure.directions else ''}"
        for place, weights in enumerate(found.weights)
        for name in weights
    ]
    leaves = [tensor for weights in found.weights for tensor in weights.values()]
    gradients = torch.autograd.grad(
        (found.output, *final),
        (inputs, *initial, *leaves),
        [torch.from_numpy(a) for a in (numbers["grad_output"], *numbers["grad_final_state"])],
    )
    named = {"output": found.output, **{f"final_{k}": state for k, state in enumerate(final)}}
    keys = ["grad_inputs", *(f"grad_state_{k}" for k in range(len(initial))), *(f"grad_{n}" for n in names)]
    named |= dict(zip(keys, gradients, strict=True))
    return {name: tensor.detach().numpy() for name, tensor in named.items()}


def results(stack: Any, numbers: dict[str, Any], lengths: Array | None = None) -> Any:
    """Every result of a stack of any backend: name -> array."""
    backend, dtype = stack.backend, stack.dtype

    def native(value: Any) -> Any:
        return tuple(map(native, value)) if isinstance(value, tuple) else backend.to_native(value, dtype)

    options = {} if lengths is None else {"lengths": lengths}
    passed = stack.forward(
        native(numbers["inputs"]), native(numbers["initial_state"]), training=True, **options
    )
    gradients = stack.backward(
        passed.tape, native(numbers["grad_output"]), native(numbers["grad_final_state"])
    )
    found = {"output": passed.output, "grad_inputs": gradients.inputs}
    found |= {f"final_{k}": state for k, state in enumerate(passed.final_state)}
    found |= {f"grad_state_{k}": state for k, state in enumerate(gradients.initial_state)}
    found |= {f"grad_{name}": gradient for name, gradient in gradients.parameters.items()}
    return {name: np.asarray(backend.to_numpy(array)) for name, array in found.items()}
