"""How a layer and its backend must behave beside their numbers: conversions, updates, threads, words."""

from __future__ import annotations

from typing import Any

import numpy as np

from implementations import CELLS, Backend, Parameters, UnsupportedCase
from tests.conformance.scene import (
    assert_agree,
    assert_raises,
    assert_same,
    backward,
    bind,
    draw,
    expected_forward,
    forward,
    forward_results,
    gradient_results,
    native,
    reference,
    results,
)


def check_layer_says_what_it_is(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    assert layer.backend is backend
    assert layer.cell is CELLS[cell]
    assert layer.dtype == dtype
    held = {name: backend.to_numpy(array) for name, array in layer.parameters.items()}
    assert_same(
        held, {name: array.astype(held[name].dtype) for name, array in scene.parameters.arrays().items()}
    )


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
    assert_agree(forward_results(layer, forward(layer, scene)), expected_forward(scene), "float32")


def check_inputs_of_another_dtype_are_converted(backend: Backend, cell: str, dtype: str) -> None:
    other = "float32" if dtype == "float64" else "float64"
    scene = draw(cell, "float32")
    layer = bind(backend, scene, dtype)
    found = layer.forward(
        backend.to_native(scene.inputs.astype(other)),
        tuple(backend.to_native(array.astype(other)) for array in scene.initial_state),
        training=True,
    )
    assert_agree(forward_results(layer, found), expected_forward(scene), "float32")
    back = layer.backward(found.tape, backend.to_native(scene.grad_output.astype(other)))
    expected = reference(scene.but(grad_final_state=None))
    grads = {name: array for name, array in expected.items() if name.startswith("grad_")}
    assert_agree(gradient_results(layer, back), grads, "float32")


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


def check_update_equals_a_fresh_bind(backend: Backend, cell: str, dtype: str) -> None:
    """Given native arrays or `Parameters`, forward and backward; and back to the first values."""
    scene, other = draw(cell, dtype), draw(cell, dtype, seed=1)
    layer = bind(backend, scene, dtype)
    backward(layer, forward(layer, scene).tape, scene)
    arrays = {name: native(backend, array, dtype) for name, array in other.parameters.arrays().items()}
    for new, values in ((other, arrays), (scene, scene.parameters), (other, other.parameters)):
        layer.update(values)
        passed = forward(layer, new)
        grads = gradient_results(layer, backward(layer, passed.tape, new))
        assert_agree({**forward_results(layer, passed), **grads}, reference(new), dtype)
        held = {name: backend.to_numpy(value).astype(dtype) for name, value in layer.parameters.items()}
        assert_same(held, new.parameters.arrays())


def check_update_with_gradients(backend: Backend, cell: str, dtype: str) -> None:
    """A layer takes back what it gave: gradients are native arrays of the parameters' shapes."""
    scene = draw(cell, dtype)
    layer = bind(backend, scene, dtype)
    grads = backward(layer, forward(layer, scene).tape, scene).parameters
    values = {name: backend.to_numpy(array) for name, array in grads.items()}
    layer.update(grads)
    moved = scene.but(parameters=Parameters.from_arrays(values).astype(dtype))
    assert_agree(forward_results(layer, forward(layer, scene)), expected_forward(moved), dtype)


def check_supported_is_said_and_done(backend: Backend, cell: str, dtype: str) -> None:
    sizes = {"seq_len": 6, "batch_size": 3, "input_size": 3, "hidden_size": 5}
    assert backend.why_unsupported(cell, dtype, **sizes) is None
    reason = backend.why_unsupported(cell, dtype, training=True, **sizes)
    if reason is not None:
        scene = draw(cell, dtype)
        layer = bind(backend, scene, dtype)
        assert_raises(UnsupportedCase, lambda: forward(layer, scene, training=True), reason)


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


def _transposed_view(backend: Backend, array: np.ndarray, dtype: str) -> Any:
    """The native array (B, H) as a view of one that lies (H, B) in memory."""
    return backend.to_native(np.ascontiguousarray(array.T), dtype).swapaxes(0, 1)
