"""Stacks of any backend's layers against torch.nn, and what they refuse."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from implementations import BACKENDS, Backend, BackendUnavailable, Parameters, TapeUsed, load_backend
from implementations.contract import Array
from implementations.stack import Stack, bind_stack, turned
from tests.conformance.scene import Results, assert_agree, assert_raises
from tests.modules.pairs import twins

SEQ_LEN, BATCH, INPUT, HIDDEN = 5, 3, 2, 4
LENGTHS = np.array([2, 5, 1])
SHAPES = [(2, False), (1, True), (2, True)]
"""(L, bidirectional)."""


@cache
def module_of(cell: str, num_layers: int, bidirectional: bool) -> Any:
    return twins(
        cell, INPUT, HIDDEN, num_layers=num_layers, bidirectional=bidirectional, dtype=torch.float64
    ).theirs


def layers_of(module: Any) -> list[Parameters]:
    directions = (False, True) if module.bidirectional else (False,)
    return [
        Parameters.from_torch(module, k, reverse) for k in range(module.num_layers) for reverse in directions
    ]


def draw(module: Any, cell: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    directions = 2 if module.bidirectional else 1
    state = (module.num_layers * directions, BATCH, HIDDEN)
    count = 2 if cell == "lstm" else 1
    return {
        "inputs": rng.standard_normal((SEQ_LEN, BATCH, INPUT)),
        "initial_state": tuple(rng.standard_normal(state) for _ in range(count)),
        "grad_output": rng.standard_normal((SEQ_LEN, BATCH, directions * HIDDEN)),
        "grad_final_state": tuple(rng.standard_normal(state) for _ in range(count)),
    }


def expected(module: Any, numbers: dict[str, Any], lengths: Array | None) -> Results:
    """torch's, through autograd."""
    inputs, *states = (
        torch.from_numpy(a).requires_grad_() for a in (numbers["inputs"], *numbers["initial_state"])
    )
    hx = tuple(states) if len(states) == 2 else states[0]
    if lengths is None:
        output, final = module(inputs, hx)
    else:
        packed = pack_padded_sequence(inputs, torch.from_numpy(lengths), enforce_sorted=False)
        packed, final = module(packed, hx)
        output, _ = pad_packed_sequence(packed, total_length=SEQ_LEN)
    final = final if isinstance(final, tuple) else (final,)
    named = dict(module.named_parameters())
    found = torch.autograd.grad(
        (output, *final),
        (inputs, *states, *named.values()),
        tuple(map(torch.from_numpy, (numbers["grad_output"], *numbers["grad_final_state"]))),
    )
    names = [
        "grad_inputs",
        *(f"grad_state_{k}" for k in range(len(states))),
        *(f"grad_{name}" for name in named),
    ]
    outputs = {"output": output, **{f"final_{k}": state for k, state in enumerate(final)}}
    return {k: v.detach().numpy() for k, v in (*outputs.items(), *zip(names, found, strict=True))}


def results(stack: Stack, numbers: dict[str, Any], lengths: Array | None) -> Results:
    backend, dtype = stack.backend, stack.dtype

    def native(value: Any) -> Any:
        return tuple(map(native, value)) if isinstance(value, tuple) else backend.to_native(value, dtype)

    passed = stack.forward(
        native(numbers["inputs"]), native(numbers["initial_state"]), lengths=lengths, training=True
    )
    gradients = stack.backward(
        passed.tape, native(numbers["grad_output"]), native(numbers["grad_final_state"])
    )
    found = {"output": passed.output, "grad_inputs": gradients.inputs}
    found |= {f"final_{k}": state for k, state in enumerate(passed.final_state)}
    found |= {f"grad_state_{k}": state for k, state in enumerate(gradients.initial_state)}
    found |= {f"grad_{name}": gradient for name, gradient in gradients.parameters.items()}
    return {name: np.asarray(backend.to_numpy(array)) for name, array in found.items()}


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return load_backend(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_any_backends_layers_stack_as_torchs(
    backend: Backend, cell: str, num_layers: int, bidirectional: bool, lengths: Array | None
) -> None:
    if backend.compiles:
        pytest.skip(f"{backend.name} compiles for seconds: the way from layers to stacks is the same for all")
    if reason := backend.why_unsupported(cell, "float64", training=True):
        pytest.skip(reason)
    module = module_of(cell, num_layers, bidirectional)
    numbers = draw(module, cell)
    stack = Stack(backend, cell, layers_of(module), "float64", bidirectional=bidirectional)
    assert_agree(results(stack, numbers, lengths), expected(module, numbers, lengths), "float64")


def numpy_stack(num_layers: int = 2, bidirectional: bool = True) -> tuple[Stack, dict[str, Any]]:
    module = module_of("gru", num_layers, bidirectional)
    stack = Stack(load_backend("numpy"), "gru", layers_of(module), "float64", bidirectional=bidirectional)
    return stack, draw(module, "gru")


def test_update_gives_all_layers_their_values() -> None:
    stack, numbers = numpy_stack()
    module = twins("gru", INPUT, HIDDEN, num_layers=2, bidirectional=True, dtype=torch.float64, seed=1).theirs
    assert list(stack.parameters) == list(module.state_dict())
    stack.update({name: tensor.numpy() for name, tensor in module.state_dict().items()})
    assert_agree(results(stack, numbers, None), expected(module, numbers, None), "float64")
    with pytest.raises(ValueError, match="parameters lack bias_hh_l1_reverse"):
        stack.update({k: v for k, v in stack.parameters.items() if k != "bias_hh_l1_reverse"})


def test_a_mask_between_layers_counts_in_both_passes() -> None:
    """Against the derivative of the output by one number of the input, from both sides."""
    stack, numbers = numpy_stack()
    mask = np.random.default_rng(1).uniform(0, 2, (SEQ_LEN, BATCH, 2 * HIDDEN))

    def loss(inputs: Array) -> float:
        passed = stack.forward(inputs, masks=[mask], training=False)
        return float((passed.output * numbers["grad_output"]).sum())

    passed = stack.forward(numbers["inputs"], masks=[mask], training=True)
    gradients = stack.backward(passed.tape, numbers["grad_output"])
    step = np.zeros((SEQ_LEN, BATCH, INPUT))
    step[2, 1, 0] = 1e-6
    numeric = (loss(numbers["inputs"] + step) - loss(numbers["inputs"] - step)) / 2e-6
    assert gradients.inputs[2, 1, 0] == pytest.approx(numeric, rel=1e-6)
    assert loss(numbers["inputs"]) != (stack.forward(numbers["inputs"], training=False).output).sum()


def test_samples_are_turned_within_their_lengths() -> None:
    steps = np.arange(5)[:, None] + np.array([10, 20, 30])
    assert turned(steps, None)[:, 0].tolist() == [14, 13, 12, 11, 10]
    assert turned(steps, LENGTHS).T.tolist() == [
        [11, 10, 12, 13, 14],
        [24, 23, 22, 21, 20],
        [30, 31, 32, 33, 34],
    ]


def test_a_tape_serves_once_and_its_own_stack() -> None:
    stack, numbers = numpy_stack()
    other, _ = numpy_stack()
    tape = stack.forward(numbers["inputs"], training=True).tape
    assert_raises(ValueError, lambda: other.backward(tape), "tape")
    stack.backward(tape, numbers["grad_output"])
    assert_raises(TapeUsed, lambda: stack.backward(tape, numbers["grad_output"]), "one backward")
    assert stack.forward(numbers["inputs"], training=False).tape is None


def test_misfits_are_refused_by_name() -> None:
    stack, numbers = numpy_stack()
    inputs, (state,) = numbers["inputs"], numbers["initial_state"]

    def forward(inputs: Array = inputs, **options: Any) -> Any:
        return stack.forward(inputs, training=True, **options)

    assert_raises(ValueError, lambda: forward(inputs[:, :, :1]), "inputs")
    assert_raises(ValueError, lambda: forward(initial_state=(state[:3],)), "initial_state h")
    assert_raises(ValueError, lambda: forward(initial_state=(state, state)), "initial_state")
    assert_raises(ValueError, lambda: forward(lengths=[1, 2, 9]), "lengths")
    assert_raises(ValueError, lambda: forward(masks=[]), "masks must be 1 of")
    tape = forward().tape
    assert_raises(ValueError, lambda: stack.backward(tape, inputs), "grad_output")
    assert_raises(ValueError, lambda: stack.backward(tape, None, (state[:, :2],)), "grad_final_state h")
    layers = layers_of(module_of("gru", 2, True))
    bind = load_backend("numpy"), "gru"
    assert_raises(ValueError, lambda: Stack(*bind, layers[:3], "float64", bidirectional=True), "2 direction")
    assert_raises(ValueError, lambda: Stack(*bind, layers, "float64"), "layers[1]")
    assert_raises(ValueError, lambda: Stack(*bind, [], "float64"), "layers")


def test_a_backend_may_bring_stacks_of_its_own() -> None:
    layers = layers_of(module_of("gru", 1, True))
    backend = load_backend("numpy")
    assert isinstance(bind_stack(backend, "gru", layers, "float64", bidirectional=True), Stack)
    backend.bind_stack = lambda *args, **options: (args, options)  # type: ignore[attr-defined]
    own = bind_stack(backend, "gru", layers, "float64", bidirectional=True)
    options = {"bidirectional": True, "residual": False, "skip": 0}
    assert own == (("gru", layers, "float64"), options)
