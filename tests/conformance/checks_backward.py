"""What a backward must compute, each requirement a check of its own: `check_…(backend, cell, dtype)`."""

from __future__ import annotations

import numpy as np

from implementations import CELLS, Backend, Parameters
from implementations.contract import Array
from tests.conformance.scene import (
    Results,
    Scene,
    assert_agree,
    backward,
    bind,
    draw,
    expected_gradients,
    forward,
    forward_results,
    gradient_results,
    only,
    reference,
    results,
)


def gradients(backend: Backend, scene: Scene, dtype: str) -> Results:
    layer = bind(backend, scene, dtype)
    return gradient_results(layer, backward(layer, forward(layer, scene).tape, scene))


def assert_gradients_agree(backend: Backend, scene: Scene, dtype: str) -> None:
    assert_agree(gradients(backend, scene, dtype), expected_gradients(scene), dtype)


def assert_one_agrees(backend: Backend, cell: str, dtype: str, name: str) -> None:
    scene = draw(cell, dtype)
    assert_agree(gradients(backend, scene, dtype), expected_gradients(scene), dtype, [name])


def check_gradient_of_inputs(backend: Backend, cell: str, dtype: str) -> None:
    assert_one_agrees(backend, cell, dtype, "grad_inputs")


def check_gradient_of_initial_state(backend: Backend, cell: str, dtype: str) -> None:
    for name in CELLS[cell].state_names:
        assert_one_agrees(backend, cell, dtype, f"grad_initial_{name}")


def check_gradient_of_weights(backend: Backend, cell: str, dtype: str) -> None:
    for name in ("weight_ih", "weight_hh"):
        assert_one_agrees(backend, cell, dtype, f"grad_{name}")


def check_gradient_of_biases(backend: Backend, cell: str, dtype: str) -> None:
    for name in ("bias_ih", "bias_hh"):
        assert_one_agrees(backend, cell, dtype, f"grad_{name}")


def check_every_parameter_has_its_gradient(backend: Backend, cell: str, dtype: str) -> None:
    """Extras too, and none that the cell does not have."""
    scene = draw(cell, dtype)
    found = gradients(backend, scene, dtype)
    assert set(found) == set(expected_gradients(scene))
    assert_agree(
        found, expected_gradients(scene), dtype, [f"grad_{name}" for name in scene.parameters.arrays()]
    )


def check_no_gradient_is_left_at_zero(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    found = gradients(backend, scene, dtype)
    for name, array in expected_gradients(scene).items():
        left = np.flatnonzero((found[name] == 0) & (np.abs(array) > 1e-6))
        assert left.size == 0, f"{name}: {left.size} entries are zero and should not be"


def check_long_sequence(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype, seq_len=200 if dtype == "float64" else 100, batch_size=2, hidden_size=4)
    assert_agree(results(backend, scene, dtype), reference(scene), dtype)


def check_grad_output_alone(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype).but(grad_final_state=None), dtype)


def check_grad_final_state_alone(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype).but(grad_output=None), dtype)


def check_each_part_of_grad_final_state(backend: Backend, cell: str, dtype: str) -> None:
    """One part of the state at a time: a path that is missing shows where the others cannot hide it."""
    scene = draw(cell, dtype).but(grad_output=None)
    for part in range(len(scene.grad_final_state)):
        grad = tuple(a if k == part else np.zeros_like(a) for k, a in enumerate(scene.grad_final_state))
        assert_gradients_agree(backend, scene.but(grad_final_state=grad), dtype)


def check_no_gradient_gives_zeros(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype).but(grad_output=None, grad_final_state=None)
    found = gradients(backend, scene, dtype)
    assert_agree(found, expected_gradients(scene), dtype)
    assert not any(array.any() for array in found.values())


def check_gradient_of_an_initial_state_left_out(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype).but(initial_state=None), dtype)


def check_one_step_backward(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype, seq_len=1), dtype)


def check_batch_of_one_backward(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype, batch_size=1), dtype)


def check_wide_input_backward(backend: Backend, cell: str, dtype: str) -> None:
    assert_gradients_agree(backend, draw(cell, dtype, input_size=11, hidden_size=2), dtype)


def check_sizes_of_one_backward(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype, seq_len=1, batch_size=1, input_size=1, hidden_size=1)
    assert_gradients_agree(backend, scene, dtype)


def check_sizes_beyond_a_vector_backward(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype, seq_len=3, batch_size=9, input_size=18, hidden_size=35)
    assert_gradients_agree(backend, scene, dtype)


def check_lengths_backward(backend: Backend, cell: str, dtype: str) -> None:
    """What arrives beyond a length is ignored, and the gradient of padded inputs is zero."""
    scene = draw(cell, dtype, batch_size=4).but(lengths=np.array([3, 6, 1, 4]))
    assert_gradients_agree(backend, scene, dtype)
    found = gradients(backend, scene, dtype)["grad_inputs"]
    for b, length in enumerate(scene.lengths):
        assert not found[length:, b].any()


def check_lengths_shorter_than_the_inputs_backward(backend: Backend, cell: str, dtype: str) -> None:
    """Steps in which no sample runs any more take no part, whatever arrives at them."""
    scene = draw(cell, dtype).but(lengths=np.array([2, 3, 2]))
    assert_gradients_agree(backend, scene, dtype)
    assert not gradients(backend, scene, dtype)["grad_inputs"][3:].any()


def check_each_length_is_a_run_of_its_own_backward(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype).but(lengths=np.array([4, 6, 1]))
    found = gradients(backend, scene, dtype)
    total: Results = {}
    for b, length in enumerate(scene.lengths):
        alone = gradients(backend, _sample(scene, b, length), dtype)
        here = {name: array[b : b + 1] for name, array in found.items() if "initial" in name}
        here["grad_inputs"] = found["grad_inputs"][:length, b : b + 1]
        assert_agree(here, alone, dtype, here)
        for name in scene.parameters.arrays():
            total[f"grad_{name}"] = total.get(f"grad_{name}", 0) + alone[f"grad_{name}"]
    assert_agree(found, total, dtype)


def check_padding_is_never_read(backend: Backend, cell: str, dtype: str) -> None:
    """NaN beyond a sample's length, in inputs and in grad_output, reaches nothing."""
    scene = draw(cell, dtype).but(lengths=np.array([2, 6, 4]))
    inputs, grad_output = scene.inputs.copy(), scene.grad_output.copy()
    for b, length in enumerate(scene.lengths):
        inputs[length:, b] = np.nan
        grad_output[length:, b] = np.nan
    padded = scene.but(inputs=inputs, grad_output=grad_output)
    assert_agree(results(backend, padded, dtype), reference(scene), dtype)


def check_nan_backward(backend: Backend, cell: str, dtype: str) -> None:
    """NaN in a sample's input makes NaN of the parameters' gradients exactly where the reference has it."""
    scene = draw(cell, dtype)
    inputs = scene.inputs.copy()
    inputs[2, 1, 0] = np.nan
    scene = scene.but(inputs=inputs)
    assert_agree(gradients(backend, scene, dtype), expected_gradients(scene), dtype)


def check_nan_in_grad_output(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    grad_output = scene.grad_output.copy()
    grad_output[3, 1, 2] = np.nan
    scene = scene.but(grad_output=grad_output)
    assert_agree(gradients(backend, scene, dtype), expected_gradients(scene), dtype)


def check_infinite_grad_output(backend: Backend, cell: str, dtype: str) -> None:
    """It goes as far as the reference's does; whether as inf or as inf − inf depends on the order of sums."""
    scene = draw(cell, dtype)
    grad_output = scene.grad_output.copy()
    grad_output[3, 1, 2] = np.inf
    scene = scene.but(grad_output=grad_output)
    found = gradients(backend, scene, dtype)
    for name, array in expected_gradients(scene).items():
        assert np.array_equal(np.isfinite(found[name]), np.isfinite(array)), name


@only(dtypes=["float64"])
def check_central_differences(backend: Backend, cell: str, dtype: str) -> None:
    """The backend's own forward, moved along random directions: no reference but calculus."""
    scene = draw(cell, dtype)
    found = gradients(backend, scene, dtype)
    rng = np.random.default_rng(3)
    moves: Results = {name: rng.standard_normal(array.shape) for name, array in found.items()}
    for name in found:
        only_this = {k: v if k == name else np.zeros_like(v) for k, v in moves.items()}
        step = 1e-5
        slope = (
            _loss(backend, _moved(scene, only_this, step)) - _loss(backend, _moved(scene, only_this, -step))
        ) / (2 * step)
        predicted = float(np.sum(found[name] * moves[name]))
        assert abs(slope - predicted) <= 1e-6 * max(1.0, abs(predicted)), (
            f"{name}: central difference {slope:.9g}, gradient along it {predicted:.9g}"
        )


def _sample(scene: Scene, b: int, length: int) -> Scene:
    """Sample b alone, up to its length."""

    def one(states: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(array[b : b + 1] for array in states)

    return scene.but(
        inputs=scene.inputs[:length, b : b + 1],
        initial_state=one(scene.initial_state),
        grad_output=scene.grad_output[:length, b : b + 1],
        grad_final_state=one(scene.grad_final_state),
        lengths=None,
    )


def _moved(scene: Scene, moves: Results, step: float) -> Scene:
    names = [f"grad_initial_{name}" for name in CELLS[scene.cell].state_names]
    arrays = {k: a + step * moves[f"grad_{k}"] for k, a in scene.parameters.arrays().items()}
    return scene.but(
        inputs=scene.inputs + step * moves["grad_inputs"],
        initial_state=tuple(
            a + step * moves[name] for a, name in zip(scene.initial_state, names, strict=True)
        ),
        parameters=Parameters.from_arrays(arrays),
    )


def _loss(backend: Backend, scene: Scene) -> float:
    """⟨grad_output, output⟩ + ⟨grad_final_state, final_state⟩: its gradients are what backward is given."""
    layer = bind(backend, scene, "float64")
    found = forward_results(layer, forward(layer, scene, training=False))
    final = [found[f"final_{name}"] for name in layer.cell.state_names]
    parts = zip((found["output"], *final), (scene.grad_output, *scene.grad_final_state), strict=True)
    return float(sum(np.sum(value * gradient) for value, gradient in parts))
