"""What the conformance checks compute with: a small drawn problem, and its results in any backend.

Values are rounded to the border's precision first and widened for the reference afterwards, so that both
sides compute on the very same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from implementations import CELLS, Backend, Forward, Gradients, Layer, Parameters, load_backend
from implementations.contract import Array
from implementations.tolerances import RELATIVE_TOLERANCE, relative_error

States = tuple[Array, ...]
Results = dict[str, Array]


@dataclass(frozen=True)
class Scene:
    """One pass in NumPy; None stands for an argument that is left out.

    inputs (T, B, I), grad_output (T, B, H); initial_state and grad_final_state tuples of (B, H).
    """

    cell: str
    parameters: Parameters
    inputs: Array
    initial_state: States | None
    grad_output: Array | None
    grad_final_state: States | None
    lengths: Array | None = None

    def rounded(self, dtype: str) -> Scene:
        """The same values at a precision."""

        def array(value: Array | None) -> Array | None:
            return None if value is None else value.astype(dtype)

        def states(value: States | None) -> States | None:
            return None if value is None else tuple(a.astype(dtype) for a in value)

        return replace(
            self,
            parameters=self.parameters.astype(dtype),
            inputs=self.inputs.astype(dtype),
            initial_state=states(self.initial_state),
            grad_output=array(self.grad_output),
            grad_final_state=states(self.grad_final_state),
        )

    def but(self, **changes: Any) -> Scene:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def draw(
    cell: str,
    dtype: str,
    *,
    seq_len: int = 6,
    batch_size: int = 3,
    input_size: int = 3,
    hidden_size: int = 5,
    seed: int = 0,
) -> Scene:
    """A problem in which nothing is zero and nothing explodes, rounded to `dtype`."""
    rng = np.random.default_rng([seed, seq_len, batch_size, input_size, hidden_size])
    names = CELLS[cell].state_names
    state = (batch_size, hidden_size)
    shapes = CELLS[cell].parameter_shapes(input_size, hidden_size)
    return Scene(
        cell=cell,
        parameters=Parameters.from_arrays(
            {name: rng.uniform(-1, 1, shape) / np.sqrt(hidden_size) for name, shape in shapes.items()}
        ),
        inputs=rng.standard_normal((seq_len, batch_size, input_size)),
        initial_state=tuple(rng.standard_normal(state) for _ in names),
        grad_output=rng.standard_normal((seq_len, *state)),
        grad_final_state=tuple(rng.standard_normal(state) for _ in names),
    ).rounded(dtype)


def bind(backend: Backend, scene: Scene, dtype: str) -> Layer:
    return backend.bind(scene.cell, scene.parameters, dtype)


def native(backend: Backend, value: Array | States | None, dtype: str) -> Any:
    """An array, a tuple of arrays, or None, as the backend takes it."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(backend.to_native(array, dtype) for array in value)
    return backend.to_native(value, dtype)


def forward(layer: Layer, scene: Scene, *, training: bool | None = None) -> Forward:
    """A forward; where `training` is left open, that of a training pass if the backend has one."""
    backend, dtype = layer.backend, layer.dtype
    if training is None:
        training = backend.why_unsupported(scene.cell, dtype, training=True) is None
    return layer.forward(
        native(backend, scene.inputs, dtype),
        native(backend, scene.initial_state, dtype),
        lengths=scene.lengths,
        training=training,
    )


def backward(layer: Layer, tape: Any, scene: Scene) -> Gradients:
    backend, dtype = layer.backend, layer.dtype
    return layer.backward(
        tape,
        native(backend, scene.grad_output, dtype),
        native(backend, scene.grad_final_state, dtype),
    )


def forward_results(layer: Layer, result: Forward) -> Results:
    """output, final_h, … as NumPy."""
    names = [f"final_{name}" for name in layer.cell.state_names]
    arrays = dict(zip(names, result.final_state, strict=True))
    return {n: layer.backend.to_numpy(a) for n, a in {"output": result.output, **arrays}.items()}


def gradient_results(layer: Layer, result: Gradients) -> Results:
    """grad_inputs, grad_initial_h, …, grad_weight_ih, … as NumPy."""
    names = [f"grad_initial_{name}" for name in layer.cell.state_names]
    arrays = {"grad_inputs": result.inputs, **dict(zip(names, result.initial_state, strict=True))}
    arrays |= {f"grad_{name}": array for name, array in result.parameters.items()}
    return {name: layer.backend.to_numpy(array) for name, array in arrays.items()}


def results(backend: Backend, scene: Scene, dtype: str) -> Results:
    """Everything that a forward and a backward return."""
    layer = bind(backend, scene, dtype)
    passed = forward(layer, scene)
    return {
        **forward_results(layer, passed),
        **gradient_results(layer, backward(layer, passed.tape, scene)),
    }


def reference(scene: Scene) -> Results:
    """Everything in float64, by the cells' own equations."""
    return results(load_backend("numpy"), scene.rounded("float64"), "float64")


def expected_forward(scene: Scene) -> Results:
    """The reference's output and final state."""
    return {name: a for name, a in reference(scene).items() if not name.startswith("grad_")}


def expected_gradients(scene: Scene) -> Results:
    """The reference's gradients."""
    return {name: a for name, a in reference(scene).items() if name.startswith("grad_")}


def assert_agree(actual: Results, expected: Results, dtype: str, names: Iterable[str] | None = None) -> None:
    """Each array named (default: each that is expected) agrees within the table's tolerance for `dtype`."""
    for name in expected if names is None else names:
        assert name in actual, f"{name} is missing; got {', '.join(actual)}"
        tolerance = RELATIVE_TOLERANCE[dtype]["gradient" if name.startswith("grad_") else "output"]
        error = relative_error(actual[name], expected[name])
        assert error <= tolerance, f"{name}: relative error {error:.3g}, tolerance {tolerance:.3g}"


def assert_same(actual: Results, expected: Results) -> None:
    """Bit for bit, NaN equal to NaN."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(actual[name], array, equal_nan=True), f"{name} differs"


def assert_raises(error: type[Exception], call: Callable[[], Any], mention: str) -> None:
    """`call` raises `error` in one line that mentions what is asked for."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert mention in message, f"{message!r} does not mention {mention!r}"
    assert "\n" not in message


def only(*, dtypes: Iterable[str] = (), cells: Iterable[str] = ()) -> Any:
    """Decorator of a check that is meant for some dtypes or cells alone."""

    def mark(check: Any) -> Any:
        check.dtypes = tuple(dtypes)
        check.cells = tuple(cells)
        return check

    return mark
