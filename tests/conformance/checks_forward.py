"""What a forward must compute, each requirement a check of its own: `check_…(backend, cell, dtype)`."""

from __future__ import annotations

import numpy as np

from implementations import CELLS, Backend, Parameters, load_backend
from tests.conformance.scene import (
    Results,
    Scene,
    assert_agree,
    bind,
    draw,
    expected_forward,
    forward,
    forward_results,
    only,
    results,
)


def outcome(backend: Backend, scene: Scene, dtype: str, *, training: bool | None = None) -> Results:
    layer = bind(backend, scene, dtype)
    return forward_results(layer, forward(layer, scene, training=training))


def assert_forward_agrees(backend: Backend, scene: Scene, dtype: str) -> None:
    assert_agree(outcome(backend, scene, dtype), expected_forward(scene), dtype)
    assert_agree(outcome(backend, scene, dtype, training=False), expected_forward(scene), dtype)


def check_output(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    assert_agree(outcome(backend, scene, dtype), expected_forward(scene), dtype, ["output"])


def check_final_state(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    names = [f"final_{name}" for name in CELLS[cell].state_names]
    assert_agree(outcome(backend, scene, dtype), expected_forward(scene), dtype, names)


def check_inference(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    assert_agree(outcome(backend, scene, dtype, training=False), expected_forward(scene), dtype)


def check_last_output_is_the_final_h(backend: Backend, cell: str, dtype: str) -> None:
    found = outcome(backend, draw(cell, dtype), dtype)
    assert np.array_equal(found["output"][-1], found["final_h"])


def check_no_initial_state_means_zeros(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    zeros = tuple(np.zeros_like(array) for array in scene.initial_state)
    without = scene.but(initial_state=None)
    assert_forward_agrees(backend, without, dtype)
    assert_agree(outcome(backend, scene.but(initial_state=zeros), dtype), expected_forward(without), dtype)


def check_initial_state_matters(backend: Backend, cell: str, dtype: str) -> None:
    """Each part of the state: a backend that ignores c still gets h right."""
    scene = draw(cell, dtype, seq_len=1)
    for part in range(len(scene.initial_state)):
        moved = tuple(a + 1 if k == part else a for k, a in enumerate(scene.initial_state))
        assert_forward_agrees(backend, scene.but(initial_state=moved), dtype)


def check_one_step(backend: Backend, cell: str, dtype: str) -> None:
    assert_forward_agrees(backend, draw(cell, dtype, seq_len=1), dtype)


def check_batch_of_one(backend: Backend, cell: str, dtype: str) -> None:
    assert_forward_agrees(backend, draw(cell, dtype, batch_size=1), dtype)


def check_wide_input(backend: Backend, cell: str, dtype: str) -> None:
    assert_forward_agrees(backend, draw(cell, dtype, input_size=11, hidden_size=2), dtype)


def check_sizes_of_one(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype, seq_len=1, batch_size=1, input_size=1, hidden_size=1)
    assert_forward_agrees(backend, scene, dtype)


def check_sizes_beyond_a_vector(backend: Backend, cell: str, dtype: str) -> None:
    """More than a vector register holds, and no multiple of its width."""
    scene = draw(cell, dtype, seq_len=3, batch_size=9, input_size=18, hidden_size=35)
    assert_forward_agrees(backend, scene, dtype)


def check_lengths(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype, batch_size=4).but(lengths=np.array([3, 6, 1, 4]))
    assert_forward_agrees(backend, scene, dtype)


def check_lengths_shorter_than_the_inputs(backend: Backend, cell: str, dtype: str) -> None:
    assert_forward_agrees(backend, draw(cell, dtype).but(lengths=np.array([2, 3, 2])), dtype)


def check_full_lengths_change_nothing(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    full = scene.but(lengths=np.full(3, 6))
    assert_agree(outcome(backend, full, dtype), expected_forward(scene), dtype)


def check_each_length_is_a_run_of_its_own(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype).but(lengths=np.array([4, 6, 1]))
    found = outcome(backend, scene, dtype)
    for b, length in enumerate(scene.lengths):
        alone = scene.but(
            inputs=scene.inputs[:length, b : b + 1],
            initial_state=tuple(array[b : b + 1] for array in scene.initial_state),
            lengths=None,
        )
        separate = outcome(backend, alone, dtype)
        here = {name: a[b : b + 1] for name, a in found.items() if name != "output"}
        here["output"] = found["output"][:length, b : b + 1]
        assert_agree(here, separate, dtype)
        assert not found["output"][length:, b].any(), "the output beyond a length must be zero"


def check_nan_in_one_sample(backend: Backend, cell: str, dtype: str) -> None:
    """It comes out from its step on, in its sample alone."""
    scene = draw(cell, dtype)
    inputs = scene.inputs.copy()
    inputs[2, 1, 0] = np.nan
    assert_forward_agrees(backend, scene.but(inputs=inputs), dtype)
    output = outcome(backend, scene.but(inputs=inputs), dtype)["output"]
    assert np.isnan(output[2:, 1]).all()
    assert np.isfinite(output[:2]).all()
    assert np.isfinite(output[:, [0, 2]]).all()


def check_nan_in_the_initial_state(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    for part in range(len(scene.initial_state)):
        state = tuple(array.copy() for array in scene.initial_state)
        state[part][0, 3] = np.nan
        assert_forward_agrees(backend, scene.but(initial_state=state), dtype)


def check_nan_in_the_parameters(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    for name in scene.parameters.arrays():
        arrays = {k: array.copy() for k, array in scene.parameters.arrays().items()}
        arrays[name].flat[0] = np.nan
        assert_forward_agrees(backend, scene.but(parameters=Parameters.from_arrays(arrays)), dtype)


def check_infinite_inputs(backend: Backend, cell: str, dtype: str) -> None:
    for sign in (1, -1):
        scene = draw(cell, dtype)
        inputs = scene.inputs.copy()
        inputs[2, 1, 0] = sign * np.inf
        assert_forward_agrees(backend, scene.but(inputs=inputs), dtype)


def check_saturation(backend: Backend, cell: str, dtype: str) -> None:
    """Pre-activations of any size: gates reach 0 and 1 and no NaN comes of an overflow on the way."""
    for scale in (30.0, 1e4, 1e30):
        scene = draw(cell, dtype, seq_len=1)
        scene = scene.but(inputs=(scene.inputs * scale).astype(dtype))
        assert_forward_agrees(backend, scene, dtype)


@only(cells=["rnn_relu", "rnn_linear", "rnn_relu_preactivation"])
def check_explosion(backend: Backend, cell: str, dtype: str) -> None:
    """A state that outgrows its format comes out as inf, at the step where the same format overflows."""
    scene = draw(cell, dtype, seq_len=12)
    scale = 1e10 if dtype == "float32" else 1e60
    grown = {k: np.abs(a) * (scale if k == "weight_hh" else 1) for k, a in scene.parameters.arrays().items()}
    scene = scene.but(
        parameters=Parameters.from_arrays(grown).astype(dtype),
        inputs=np.abs(scene.inputs),
        initial_state=tuple(np.abs(array) for array in scene.initial_state),
    )
    found = outcome(backend, scene, dtype)
    same_format = results(load_backend("numpy"), scene, dtype)
    assert np.isposinf(found["output"][-1]).all()
    assert np.array_equal(np.isinf(found["output"]), np.isinf(same_format["output"]))


@only(cells=["gru", "gru_reset_before"])
def check_reset_gate_is_where_the_name_says(backend: Backend, cell: str, dtype: str) -> None:
    """The two GRUs are two functions: this backend computes its own, and is far from the other."""
    other = "gru" if cell == "gru_reset_before" else "gru_reset_before"
    scene = draw(cell, dtype)
    found = outcome(backend, scene, dtype)
    assert_agree(found, expected_forward(scene), dtype)
    distance = np.abs(found["output"] - expected_forward(scene.but(cell=other))["output"]).max()
    assert distance > 1e-2, f"the output is {other}'s to within {distance:.1g}"
