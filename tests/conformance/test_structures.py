"""Structures of any backend's layers: against autograd over an unrolled graph, and every backend alike."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from implementations import (
    BACKENDS,
    Backend,
    BackendUnavailable,
    TapeUsed,
    UnsupportedCase,
    load_backend,
)
from implementations.backends.torch_native.stack import CudnnStackBackend, TorchStackBackend
from implementations.contract import Array
from implementations.skip import SkipLayer
from implementations.stack import Stack, bind_stack, why_no_stack
from implementations.structure import Structure
from tests.conformance.scene import assert_agree, assert_raises
from tests.conformance.structured import draw_layers, draw_numbers, expected, results

SIZES = (7, 3, 4, 4)
"""T, B, I, H: I = H, so that the first layer has a residual connection, too; T is no multiple of a skip."""
LENGTHS = np.array([2, 7, 5])
SHORT = np.array([2, 1, 3])
"""Every sample ends long before the inputs do: the last stretch of a skip has none that runs."""
WITH_MODULES = ["3 layers", "1 layer, both ways", "2 layers, both ways"]
STRUCTURES = [
    "3 layers",
    "2 layers, both ways",
    "3 layers, residual",
    "2 layers, both ways, residual",
    "1 layer, skip 3",
    "1 layer, skip 9",
    "2 layers, both ways, residual, skip 2",
]


def stack_of(
    backend: Backend, cell: str, words: str, sizes: tuple[int, int, int, int] = SIZES, dtype: str = "float64"
) -> Any:
    structure = Structure.parse(words)
    layers = draw_layers(cell, structure, *sizes[2:])
    return bind_stack(backend, cell, layers, dtype, **structure.options)


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return load_backend(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("sizes", [SIZES, (6, 2, 3, 5)], ids=["I=H", "I<H"])
@pytest.mark.parametrize("words", STRUCTURES)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_the_reference_is_autograds(cell: str, words: str, sizes: tuple[int, int, int, int]) -> None:
    """The composition in NumPy, forward and every gradient."""
    structure = Structure.parse(words)
    numbers = draw_numbers(cell, structure, sizes)
    wanted = expected(cell, structure, draw_layers(cell, structure, *sizes[2:]), numbers)
    assert_agree(results(stack_of(load_backend("numpy"), cell, words, sizes), numbers), wanted, "float64")


@pytest.mark.parametrize("lengths", [None, LENGTHS, SHORT], ids=["whole", "lengths", "short"])
@pytest.mark.parametrize("words", STRUCTURES[1:])
def test_every_backend_computes_the_reference(backend: Backend, words: str, lengths: Array | None) -> None:
    if backend.compiles:
        pytest.skip(f"{backend.name} compiles for seconds: the way from layers to stacks is the same for all")
    structure = Structure.parse(words)
    reason = backend.why_unsupported("gru", "float64", training=True) or why_no_stack(backend, structure)
    if reason:
        pytest.skip(reason)
    numbers = draw_numbers("gru", structure, SIZES)
    wanted = results(stack_of(load_backend("numpy"), "gru", words), numbers, lengths)
    assert_agree(results(stack_of(backend, "gru", words), numbers, lengths), wanted, "float64")


@pytest.mark.parametrize("lengths", [LENGTHS, SHORT], ids=["lengths", "short"])
@pytest.mark.parametrize("words", STRUCTURES)
def test_a_sample_of_some_length_is_that_sample_alone(words: str, lengths: Array) -> None:
    structure = Structure.parse(words)
    numbers = draw_numbers("lstm", structure, SIZES)
    stack = stack_of(load_backend("numpy"), "lstm", words)
    found = results(stack, numbers, lengths)
    for b, length in enumerate(lengths):
        alone = {
            "inputs": numbers["inputs"][:length, b : b + 1],
            "grad_output": numbers["grad_output"][:length, b : b + 1],
            **{k: tuple(s[:, b : b + 1] for s in numbers[k]) for k in ("initial_state", "grad_final_state")},
        }
        wanted = results(stack, alone)
        for name in ("output", "grad_inputs"):
            np.testing.assert_allclose(found[name][:length, b : b + 1], wanted[name], atol=1e-12)
            assert not found[name][length:, b].any()
        for name in ("final_0", "final_1", "grad_state_0", "grad_state_1"):
            np.testing.assert_allclose(found[name][:, b : b + 1], wanted[name], atol=1e-12)


@pytest.mark.parametrize("words", STRUCTURES)
def test_padding_is_never_read(words: str) -> None:
    """NaN beyond a sample's length reaches nothing: by no layer, and by no connection around one."""
    numbers = draw_numbers("gru", Structure.parse(words), SIZES)
    padded = {**numbers, **{name: numbers[name].copy() for name in ("inputs", "grad_output")}}
    for b, length in enumerate(LENGTHS):
        padded["inputs"][length:, b] = padded["grad_output"][length:, b] = np.nan
    for name in ("numpy", "torch"):
        stack = stack_of(load_backend(name), "gru", words)
        assert_agree(results(stack, padded, LENGTHS), results(stack, numbers, LENGTHS), "float64")


def test_a_skip_longer_than_the_sequence_changes_nothing() -> None:
    """Then h_{t−s} is zero throughout: the same layer without those columns."""
    cell, numbers = "gru", draw_numbers("gru", Structure(), SIZES)
    (with_skip,) = draw_layers(cell, Structure(skip=9), *SIZES[2:])
    arrays = with_skip.arrays()
    plain = type(with_skip).from_arrays({**arrays, "weight_ih": arrays["weight_ih"][:, : SIZES[2]]})
    numpy = load_backend("numpy")
    found = results(bind_stack(numpy, cell, [with_skip], "float64", skip=9), numbers)
    wanted = results(bind_stack(numpy, cell, [plain], "float64"), numbers)
    np.testing.assert_array_equal(found["output"], wanted["output"])
    assert not found["grad_weight_ih_l0"][:, SIZES[2] :].any()


def test_a_skip_layer_keeps_to_the_contract() -> None:
    stack = stack_of(load_backend("numpy"), "gru", "1 layer, skip 3")
    layer = stack.layers[0]
    assert isinstance(layer, SkipLayer)
    assert layer.input_size == 4
    inputs = draw_numbers("gru", Structure(), SIZES)["inputs"]
    passed = layer.forward(inputs, training=True)
    np.testing.assert_array_equal(layer.forward(inputs, training=False).output, passed.output)
    assert layer.forward(inputs, training=False).tape is None
    assert_raises(ValueError, lambda: layer.backward(passed.tape, inputs[:, :, :2]), "grad_output")
    assert not np.any(layer.backward(passed.tape).inputs)  # nothing arrives: nothing leaves
    assert_raises(TapeUsed, lambda: layer.backward(passed.tape), "one backward")
    assert_raises(ValueError, lambda: layer.forward(inputs[:, :, :3], training=False), "inputs")
    layer.update({name: 0 * array for name, array in layer.parameters.items()})
    assert not layer.forward(inputs, training=False).output.any()


def test_structures_are_spelled_and_read() -> None:
    for words in STRUCTURES:
        assert str(Structure.parse(words)) == words
    assert str(Structure()) == "1 layer"
    for wrong in ("", "0 layers", "2 layers, skip", "2 layers, skip 4, residual", "deep"):
        assert_raises(ValueError, lambda wrong=wrong: Structure.parse(wrong), "structure must be")
    assert_raises(ValueError, lambda: Structure(skip=1), "skip must be")
    assert_raises(ValueError, lambda: Structure(num_layers=0), "num_layers must be")


@pytest.mark.parametrize("wrong", [1.5, 2.0, True, np.True_, "2", None])
def test_a_number_of_a_structure_is_an_integer(wrong: Any) -> None:
    assert_raises(ValueError, lambda: Structure(wrong), f"num_layers must be integers, got {wrong!r}")
    assert_raises(ValueError, lambda: Structure(2, skip=wrong), f"skip must be integers, got {wrong!r}")


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_a_flag_of_a_structure_is_true_or_false(wrong: Any) -> None:
    for flag in ("bidirectional", "residual"):
        words = f"{flag} must be True or False, got {wrong!r}"
        assert_raises(ValueError, lambda flag=flag: Structure(2, **{flag: wrong}), words)
        layers = draw_layers("gru", Structure(2), 4, 4)
        numpy = load_backend("numpy")
        assert_raises(ValueError, partial(Stack, numpy, "gru", layers, "float64", **{flag: wrong}), words)
    assert Structure(np.int64(2), residual=np.True_) == Structure(2, residual=True)


@pytest.mark.parametrize("words", [None, 2, "1000000000 layers", "9" * 5000 + " layers"])
def test_a_structure_beyond_all_bounds_is_refused(words: Any) -> None:
    """At once: a thousand million layers would be counted one by one."""
    assert_raises(ValueError, lambda: Structure.parse(words), "at most 1000")
    assert_raises(ValueError, lambda: Structure(1001), "at most 1000")
    assert Structure.parse("1000 layers").num_layers == 1000


def test_a_skip_far_longer_than_the_sequence_takes_no_memory() -> None:
    numbers = draw_numbers("gru", Structure(), SIZES)
    layers = draw_layers("gru", Structure(skip=9), *SIZES[2:])
    far, near = (bind_stack(load_backend("numpy"), "gru", layers, "float64", skip=s) for s in (10**15, 9))
    np.testing.assert_array_equal(results(far, numbers)["output"], results(near, numbers)["output"])


def test_a_residual_connection_that_adds_nothing_is_refused() -> None:
    """It would be measured under a name of its own, and be the plain layer."""
    numpy = load_backend("numpy")
    for structure, written in ((Structure(residual=True), 8), (Structure(1, True, True), 16)):
        layers = draw_layers("gru", structure, 3, 8)
        bind = partial(bind_stack, numpy, "gru", layers, "float64", **structure.options)
        assert_raises(ValueError, bind, f"reads and writes one width: it reads 3 and writes {written}")
    for words in ("2 layers, residual", "1 layer, residual, skip 2"):
        structure = Structure.parse(words)
        width = 3 if structure.num_layers > 1 else 8  # the first layer alone may add nothing
        stack_of(numpy, "gru", words, (4, 2, width, 8))


@pytest.mark.parametrize("name", ["numpy", "torch", "torch_stack"])
def test_an_update_that_is_no_mapping_is_named(name: str) -> None:
    stack = stack_of(load_backend(name), "gru", "2 layers")
    for wrong in (draw_layers("gru", Structure(2), 4, 4), draw_layers("gru", Structure(), 4, 4)[0], None):
        got = type(wrong).__name__
        words = f"parameters must be a mapping of names (weight_ih_l0, … bias_hh_l1), got {got}"
        assert_raises(ValueError, lambda wrong=wrong: stack.update(wrong), words)


def test_a_torch_layers_update_that_is_no_mapping_is_named() -> None:
    layer = load_backend("torch").bind("gru", draw_layers("gru", Structure(), 4, 4)[0], "float64")
    words = "parameters must be Parameters or a mapping of names (weight_ih, … bias_hh), got list"
    assert_raises(ValueError, lambda: layer.update([]), words)


def test_layers_that_are_no_parameters_are_named() -> None:
    numpy, one = load_backend("numpy"), draw_layers("gru", Structure(), 4, 4)[0]
    for wrong, words in (
        (one, "layers must be a list of Parameters, got Parameters"),
        ([one.arrays()], "layers[0] must be Parameters, got dict"),
        (3, "layers must be a list of Parameters, got int"),
    ):
        assert_raises(ValueError, lambda wrong=wrong: bind_stack(numpy, "gru", wrong, "float64"), words)


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "torch_stack"])
def test_complex_numbers_are_refused_and_not_cut(name: str) -> None:
    backend = load_backend(name)
    stack = stack_of(backend, "gru", "2 layers")
    inputs = np.ones(SIZES[:3], complex)
    wrong, right = ((torch.from_numpy(a) if "torch" in name else a) for a in (inputs, inputs.real.copy()))
    state = wrong[:2, :, :4]
    for training in (False, True):
        forward = partial(stack.forward, training=training)
        assert_raises(ValueError, partial(forward, wrong), "inputs must be real numbers, got")
        assert_raises(ValueError, partial(forward, right, (state,)), "initial_state h must be real")
    tape = stack.forward(right, training=True).tape
    assert_raises(ValueError, lambda: stack.backward(tape, wrong), "grad_output must be real numbers, got")
    assert_raises(ValueError, lambda: stack.backward(tape, None, (state,)), "grad_final_state h must be real")


def test_layers_that_do_not_fit_are_named() -> None:
    numpy = load_backend("numpy")
    layers = draw_layers("gru", Structure(2, skip=3), 4, 4)
    assert_raises(ValueError, lambda: Stack(numpy, "gru", layers, "float64"), "layers[1]")
    plain = draw_layers("gru", Structure(), 4, 4)
    assert_raises(ValueError, lambda: Stack(numpy, "gru", plain, "float64", skip=3), "layers[0]")


@pytest.mark.parametrize("lengths", [None, LENGTHS, SHORT], ids=["whole", "lengths", "short"])
@pytest.mark.parametrize("words", WITH_MODULES)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
@pytest.mark.parametrize("name", ["torch_stack", pytest.param("cudnn_stack", marks=pytest.mark.cuda)])
def test_a_fused_stack_computes_the_reference(
    name: str, cell: str, words: str, lengths: Array | None
) -> None:
    fused = stack_of(load_backend(name), cell, words)
    assert not isinstance(fused, Stack)
    numbers = draw_numbers(cell, Structure.parse(words), SIZES)
    wanted = results(stack_of(load_backend("numpy"), cell, words), numbers, lengths)
    assert_agree(results(fused, numbers, lengths), wanted, "float64")


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["float32", "tf32", "bfloat16", "float16"])
def test_cudnns_stack_in_reduced_precision(dtype: str) -> None:
    backend = load_backend("cudnn_stack")
    if reason := backend.why_unsupported("lstm", dtype):
        pytest.skip(reason)
    numbers = draw_numbers("lstm", Structure(2, bidirectional=True), SIZES)
    numbers = {
        k: tuple(a.astype("float32") for a in v) if isinstance(v, tuple) else v.astype("float32")
        for k, v in numbers.items()
    }
    wanted = results(stack_of(load_backend("numpy"), "lstm", WITH_MODULES[2]), numbers)
    assert_agree(results(stack_of(backend, "lstm", WITH_MODULES[2], dtype=dtype), numbers), wanted, dtype)


@pytest.mark.parametrize("backend_class", [TorchStackBackend, CudnnStackBackend])
def test_a_fused_stack_refuses_what_torch_nn_has_not(backend_class: Any) -> None:
    """No device is asked: the refusal stands before anything is bound."""
    backend = backend_class()
    assert why_no_stack(backend, Structure(4, bidirectional=True)) is None
    assert why_no_stack(load_backend("numpy"), Structure(2, residual=True, skip=4)) is None
    for structure, named in (
        (Structure(2, residual=True), "residual"),
        (Structure(2, skip=4), "across time"),
    ):
        assert named in str(why_no_stack(backend, structure))
        layers = draw_layers("gru", structure, 4, 4)
        assert_raises(
            UnsupportedCase,
            lambda s=structure, k=layers: bind_stack(backend, "gru", k, "float64", **s.options),
            named,
        )
    assert "reset gate" in str(backend.why_unsupported("gru_reset_before", "float32"))


def test_cudnns_stack_says_why_it_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(BackendUnavailable, match="cudnn_stack: no CUDA device"):
        load_backend("cudnn_stack")


def test_a_fused_stack_refuses_misfits_by_name() -> None:
    stack = stack_of(load_backend("torch_stack"), "lstm", WITH_MODULES[2])
    inputs = torch.zeros(SIZES[:3], dtype=torch.float64)
    state = torch.zeros(4, 3, 4, dtype=torch.float64)
    passed = stack.forward(inputs, training=True)
    assert_raises(ValueError, lambda: stack.forward(inputs[:, :, :2], training=True), "inputs")
    assert_raises(ValueError, lambda: stack.forward(inputs, (state,), training=True), "initial_state")
    assert_raises(ValueError, lambda: stack.forward(inputs, masks=[inputs], training=True), "masks")
    assert_raises(ValueError, lambda: stack.backward(passed.tape, inputs), "grad_output")
    assert_raises(
        ValueError, lambda: stack.backward(passed.tape, None, (state[:2], state)), "grad_final_state"
    )
    assert passed.final_state[0].shape == (4, 3, 4)
    stack.backward(passed.tape, passed.output)
    assert_raises(TapeUsed, lambda: stack.backward(passed.tape, passed.output), "one backward")
    stack.update({name: 0 * tensor for name, tensor in stack.parameters.items()})
    assert not stack.forward(inputs, training=False).output.any()
