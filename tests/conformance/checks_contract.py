"""How a layer must behave beside its numbers: tapes, memory, updates, conversions, refusals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from implementations import CELLS, Backend, Parameters, TapeUsed
from tests.conformance.scene import (
    Results,
    Scene,
    assert_agree,
    assert_same,
    backward,
    bind,
    draw,
    forward,
    forward_results,
    gradient_results,
    native,
    reference,
    results,
)


def snapshot(found: Results) -> Results:
    return {name: array.copy() for name, array in found.items()}


def check_layer_says_what_it_is(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    assert layer.backend is backend
    assert layer.cell is CELLS[cell]
    assert layer.dtype == dtype
    held = {name: backend.to_numpy(array) for name, array in layer.parameters.items()}
    assert_same(held, {name: array.astype(held[name].dtype) for name, array in _arrays(scene).items()})


def check_results_have_the_dtype(backend: Backend, cell: str, dtype: str) -> None:
    """No value that the dtype does not have; nothing computed in float32 passes for float64."""
    found = results(backend, draw(cell, dtype), dtype)
    for name, array in found.items():
        assert np.array_equal(array.astype(dtype), array), f"{name} has values that {dtype} does not have"
    if dtype == "float64":
        coarse = [name for name, a in found.items() if np.array_equal(a.astype("float32"), a) and a.any()]
        assert not coarse, f"{', '.join(coarse)} hold float32 values"


def check_parameters_of_another_dtype_are_converted(backend: Backend, cell: str, dtype: str) -> None:
    other = "float32" if dtype == "float64" else "float64"
    scene = draw(cell, "float32")
    layer = backend.bind(cell, scene.parameters.astype(other), dtype)
    assert_agree(forward_results(layer, forward(layer, scene)), _expected_forward(scene), "float32")


def check_inputs_of_another_dtype_are_converted(backend: Backend, cell: str, dtype: str) -> None:
    other = "float32" if dtype == "float64" else "float64"
    scene = draw(cell, "float32")
    layer = bind(backend, scene, dtype)
    found = layer.forward(
        backend.to_native(scene.inputs.astype(other)),
        tuple(backend.to_native(array.astype(other)) for array in scene.initial_state),
        training=True,
    )
    assert_agree(forward_results(layer, found), _expected_forward(scene), "float32")
    back = layer.backward(found.tape, backend.to_native(scene.grad_output.astype(other)))
    expected = reference(scene.but(grad_final_state=None))
    grads = {name: array for name, array in expected.items() if name.startswith("grad_")}
    assert_agree(gradient_results(layer, back), grads, "float32")


def check_nothing_given_is_changed(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    given = [
        native(backend, scene.inputs, dtype),
        *native(backend, scene.initial_state, dtype),
        native(backend, scene.grad_output, dtype),
        *native(backend, scene.grad_final_state, dtype),
    ]
    before = [backend.to_numpy(value).copy() for value in given]
    n = len(scene.initial_state)
    for lengths in (None, np.array([6, 2, 4])):
        for training in (False, True):
            passed = layer.forward(given[0], tuple(given[1 : 1 + n]), lengths=lengths, training=training)
        layer.backward(passed.tape, given[1 + n], tuple(given[2 + n :]))
    for value, was in zip(given, before, strict=True):
        assert np.array_equal(backend.to_numpy(value), was), "an argument was changed in place"
    assert_same(
        {k: backend.to_numpy(v).astype(dtype) for k, v in layer.parameters.items()},
        _arrays(scene),
    )


def check_lengths_are_not_changed(backend: Backend, cell: str, dtype: str) -> None:
    lengths = np.array([4, 6, 1])
    results(backend, draw(cell, dtype).but(lengths=lengths), dtype)
    assert lengths.tolist() == [4, 6, 1]


def check_strided_arrays(backend: Backend, cell: str, dtype: str) -> None:
    """`to_native` takes any strides; a layer takes native views, where the native form has them."""
    scene = draw(cell, dtype)
    batch_first = np.ascontiguousarray(scene.inputs.swapaxes(0, 1))
    reversed_twice = np.ascontiguousarray(scene.grad_output[::-1, :, ::-1])[::-1, :, ::-1]
    strided = scene.but(inputs=batch_first.swapaxes(0, 1), grad_output=reversed_twice)
    assert not strided.inputs.flags.c_contiguous
    assert_agree(results(backend, strided, dtype), reference(scene), dtype)
    view = backend.to_native(batch_first, dtype)
    if not hasattr(view, "swapaxes"):
        return
    layer = bind(backend, scene, dtype)
    passed = layer.forward(
        view.swapaxes(0, 1),
        tuple(_transposed_view(backend, a, dtype) for a in scene.initial_state),
        training=True,
    )
    grads = layer.backward(
        passed.tape,
        backend.to_native(np.ascontiguousarray(scene.grad_output.swapaxes(0, 1)), dtype).swapaxes(0, 1),
        tuple(_transposed_view(backend, a, dtype) for a in scene.grad_final_state),
    )
    found = {**forward_results(layer, passed), **gradient_results(layer, grads)}
    assert_agree(found, reference(scene), dtype)


def check_native_round_trip(backend: Backend, cell: str, dtype: str) -> None:
    """Values and shape come back exactly, whatever the strides; so does the dtype, where the form has one."""
    array = draw(cell, dtype).inputs
    for view in (array, array[::2], array[:, ::-1], array.swapaxes(0, 2), array[0, 0]):
        held = backend.to_native(view)
        back = backend.to_numpy(held)
        assert np.array_equal(back, view)
        assert isinstance(held, list) or back.dtype == view.dtype
        assert np.array_equal(backend.to_numpy(backend.to_native(view, dtype)), view)


def check_tape_serves_once(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    tape = forward(layer, scene).tape
    backward(layer, tape, scene)
    assert_raises(TapeUsed, lambda: backward(layer, tape, scene), "")


def check_inference_leaves_no_tape(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    assert forward(layer, scene, training=False).tape is None
    assert_raises(ValueError, lambda: backward(layer, None, scene), "tape")


def check_tape_of_another_layer_is_refused(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    tape = forward(bind(backend, scene, dtype), scene).tape
    assert_raises(ValueError, lambda: backward(bind(backend, scene, dtype), tape, scene), "tape")


def check_refused_backward_costs_no_tape(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    tape = forward(layer, scene).tape
    wrong = scene.but(grad_output=scene.grad_output[:-1])
    assert_raises(ValueError, lambda: backward(layer, tape, wrong), "grad_output")
    backward(layer, tape, scene)


def check_interleaved_tapes(backend: Backend, cell: str, dtype: str) -> None:
    """Several forwards, of equal and of other sizes, then their backwards in another order."""
    sizes: list[dict[str, int]] = [{}, {"seed": 1}, {"seq_len": 3, "batch_size": 5}, {"seq_len": 1}]
    scenes = [draw(cell, dtype, **size).but(parameters=draw(cell, dtype).parameters) for size in sizes]
    layer = bind(backend, scenes[0], dtype)
    passed = [forward(layer, scene) for scene in scenes]
    forward(layer, scenes[1], training=False)
    for k in (2, 0, 3, 1):
        grads = gradient_results(layer, backward(layer, passed[k].tape, scenes[k]))
        assert_agree({**forward_results(layer, passed[k]), **grads}, reference(scenes[k]), dtype)


def check_results_are_never_overwritten(backend: Backend, cell: str, dtype: str) -> None:
    scene, other = draw(cell, dtype), draw(cell, dtype, seed=1)
    layer = bind(backend, scene, dtype)
    passed = forward(layer, scene)
    inferred = forward(layer, scene, training=False)
    grads = backward(layer, passed.tape, scene)

    def held() -> list[Results]:
        found = [forward_results(layer, passed), forward_results(layer, inferred)]
        return [*found, gradient_results(layer, grads)]

    before = [snapshot(found) for found in held()]
    for _ in range(2):
        forward(layer, other, training=False)
        backward(layer, forward(layer, other).tape, other)
    layer.update(other.parameters)
    forward(layer, other, training=False)
    for found, was in zip(held(), before, strict=True):
        assert_same(found, was)


def check_results_share_no_memory(backend: Backend, cell: str, dtype: str) -> None:
    """Neither with each other nor with what was given: whoever scales one in place scales that one alone."""
    scene = draw(cell, dtype, seq_len=1)
    layer = bind(backend, scene, dtype)
    given = {
        "inputs": native(backend, scene.inputs, dtype),
        "grad_output": native(backend, scene.grad_output, dtype),
    }
    states = {
        "initial_state": native(backend, scene.initial_state, dtype),
        "grad_final_state": native(backend, scene.grad_final_state, dtype),
    }
    passed = layer.forward(given["inputs"], states["initial_state"], training=True)
    grads = layer.backward(passed.tape, given["grad_output"], states["grad_final_state"])
    found = {**forward_results(layer, passed), **gradient_results(layer, grads)}
    ours = {name: backend.to_numpy(value) for name, value in given.items()}
    for name, state in states.items():
        ours |= {f"{name} {k}": backend.to_numpy(value) for k, value in enumerate(state)}
    for name, other in combinations(found, 2):
        assert not np.shares_memory(found[name], found[other]), f"{name} and {other} share memory"
    for name, array in found.items():
        for mine, value in ours.items():
            assert not np.shares_memory(array, value), f"{name} shares memory with {mine}"


def check_update_equals_a_fresh_bind(backend: Backend, cell: str, dtype: str) -> None:
    """Given native arrays or `Parameters`, forward and backward; and back to the first values."""
    scene, other = draw(cell, dtype), draw(cell, dtype, seed=1)
    layer = bind(backend, scene, dtype)
    backward(layer, forward(layer, scene).tape, scene)
    arrays = {name: native(backend, array, dtype) for name, array in _arrays(other).items()}
    for new, values in ((other, arrays), (scene, scene.parameters), (other, other.parameters)):
        layer.update(values)
        passed = forward(layer, new)
        grads = gradient_results(layer, backward(layer, passed.tape, new))
        assert_agree({**forward_results(layer, passed), **grads}, reference(new), dtype)
        held = {name: backend.to_numpy(value).astype(dtype) for name, value in layer.parameters.items()}
        assert_same(held, _arrays(new))


def check_update_with_gradients(backend: Backend, cell: str, dtype: str) -> None:
    """A layer takes back what it gave: gradients are native arrays of the parameters' shapes."""
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    grads = backward(layer, forward(layer, scene).tape, scene).parameters
    values = {name: backend.to_numpy(array) for name, array in grads.items()}
    layer.update(grads)
    moved = scene.but(parameters=Parameters.from_arrays(values).astype(dtype))
    assert_agree(forward_results(layer, forward(layer, scene)), _expected_forward(moved), dtype)


def check_two_layers_do_not_meet(backend: Backend, cell: str, dtype: str) -> None:
    scene, other = draw(cell, dtype), draw(cell, dtype, seed=1)
    layers = bind(backend, scene, dtype), bind(backend, other, dtype)
    passed = forward(layers[0], scene), forward(layers[1], other)
    for layer, result, which in zip(layers, passed, (scene, other), strict=True):
        grads = gradient_results(layer, backward(layer, result.tape, which))
        assert_agree({**forward_results(layer, result), **grads}, reference(which), dtype)


def check_misfit_inputs_are_refused(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    wrong = [scene.inputs[:, :, :2], scene.inputs[:0], scene.inputs[:, :0], scene.inputs[0]]
    for inputs in wrong:
        assert_forward_refused(backend, scene.but(inputs=inputs), dtype, "inputs")


def check_misfit_initial_state_is_refused(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    state = scene.initial_state
    wrong = [(), (*state, state[0]), tuple(a[:2] for a in state), tuple(a[:, :4] for a in state)]
    for given in wrong:
        assert_forward_refused(backend, scene.but(initial_state=given), dtype, "initial_state")


def check_misfit_lengths_are_refused(backend: Backend, cell: str, dtype: str) -> None:
    for lengths in ([0, 2, 3], [1, 2, 7], [1, 2], [1.0, 2.0, 3.0]):
        assert_forward_refused(backend, draw(cell, dtype).but(lengths=np.array(lengths)), dtype, "lengths")


def check_misfit_gradients_are_refused(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    tape = forward(layer, scene).tape
    for grad_output in (scene.grad_output[1:], scene.grad_output[:, :2], scene.grad_output[..., :4]):
        wrong = scene.but(grad_output=grad_output)
        assert_raises(ValueError, lambda wrong=wrong: backward(layer, tape, wrong), "grad_output")
    final = scene.grad_final_state
    for state in ((), (*final, final[0]), tuple(a[:2] for a in final)):
        wrong = scene.but(grad_final_state=state)
        assert_raises(ValueError, lambda wrong=wrong: backward(layer, tape, wrong), "grad_final_state")


def check_misfit_parameters_are_refused(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    arrays = {name: native(backend, array, dtype) for name, array in _arrays(scene).items()}
    for name, array in _arrays(scene).items():
        lacking = {k: v for k, v in arrays.items() if k != name}
        misfit = {**arrays, name: native(backend, array[1:], dtype)}
        assert_raises(ValueError, lambda given=lacking: layer.update(given), name)
        assert_raises(ValueError, lambda given=misfit: layer.update(given), name)
    extra = {**arrays, "weight_peephole_of_nobody": arrays["bias_ih"]}
    assert_raises(ValueError, lambda: layer.update(extra), "weight_peephole_of_nobody")
    assert_agree(forward_results(layer, forward(layer, scene)), _expected_forward(scene), dtype)


def check_bind_refuses_what_is_not_the_cells(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    rows = {name: np.concatenate([array] * 5) for name, array in _arrays(scene).items()}
    gates = Parameters.from_arrays({**rows, "weight_hh": rows["weight_hh"]})
    assert_raises(ValueError, lambda: backend.bind(cell, gates, dtype), "weight_ih")
    assert_raises(KeyError, lambda: backend.bind(cell + "x", scene.parameters, dtype), cell)
    assert_raises(ValueError, lambda: backend.bind(cell, scene.parameters, "float23"), "float32")


def check_supported_is_said_and_done(backend: Backend, cell: str, dtype: str) -> None:
    for training in (False, True):
        reason = backend.why_unsupported(
            cell, dtype, training=training, seq_len=6, batch_size=3, input_size=3, hidden_size=5
        )
        assert reason is None


def check_thread_count(backend: Backend, cell: str, dtype: str) -> None:
    """What is set is in force (never more), and changes no result; less than one is refused."""
    scene, before = draw(cell, dtype, batch_size=5), backend.num_threads
    try:
        for n in (1, 2):
            backend.set_num_threads(n)
            assert 1 <= backend.num_threads <= n, f"{n} set, {backend.num_threads} in force"
            assert_agree(results(backend, scene, dtype), reference(scene), dtype)
        assert_raises(ValueError, lambda: backend.set_num_threads(0), "num_threads")
    finally:
        backend.set_num_threads(before)


def check_description(backend: Backend, cell: str, dtype: str) -> None:
    """Names and values that a report can print."""
    description = backend.describe()
    assert description
    for name, value in description.items():
        assert isinstance(name, str)
        assert isinstance(value, str)
        assert value
    assert backend.device in ("cpu", "cuda")
    backend.synchronize()


def assert_raises(error: type[Exception], call: Callable[[], Any], mention: str) -> None:
    """`call` raises `error` in one line that mentions what is asked for."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert mention in message, f"{message!r} does not mention {mention!r}"
    assert "\n" not in message


def assert_forward_refused(backend: Backend, scene: Scene, dtype: str, argument: str) -> None:
    layer = bind(backend, draw(scene.cell, dtype), dtype)
    for training in (False, True):
        assert_raises(
            ValueError, lambda training=training: forward(layer, scene, training=training), argument
        )


def _expected_forward(scene: Scene) -> Results:
    return {name: a for name, a in reference(scene).items() if not name.startswith("grad_")}


def _arrays(scene: Scene) -> Results:
    return scene.parameters.arrays()


def _transposed_view(backend: Backend, array: np.ndarray, dtype: str) -> Any:
    """The native array (B, H) as a view of one that lies (H, B) in memory."""
    return backend.to_native(np.ascontiguousarray(array.T), dtype).swapaxes(0, 1)
