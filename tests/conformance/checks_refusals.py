"""What does not fit is refused in one line that names the argument, and harms nothing."""

from __future__ import annotations

import numpy as np

from implementations import Backend, Parameters
from tests.conformance.scene import (
    Scene,
    assert_agree,
    assert_raises,
    backward,
    bind,
    draw,
    expected_forward,
    forward,
    forward_results,
    native,
)


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
    tape = forward(layer, scene, training=True).tape
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
    arrays = {name: native(backend, array, dtype) for name, array in scene.parameters.arrays().items()}
    for name, array in scene.parameters.arrays().items():
        lacking = {k: v for k, v in arrays.items() if k != name}
        misfit = {**arrays, name: native(backend, array[1:], dtype)}
        assert_raises(ValueError, lambda given=lacking: layer.update(given), name)
        assert_raises(ValueError, lambda given=misfit: layer.update(given), name)
    extra = {**arrays, "weight_peephole_of_nobody": arrays["bias_ih"]}
    assert_raises(ValueError, lambda: layer.update(extra), "weight_peephole_of_nobody")
    assert_agree(forward_results(layer, forward(layer, scene)), expected_forward(scene), dtype)


def check_bind_refuses_what_is_not_the_cells(backend: Backend, cell: str, dtype: str) -> None:
    scene = draw(cell, dtype)
    rows = {name: np.concatenate([array] * 5) for name, array in scene.parameters.arrays().items()}
    gates = Parameters.from_arrays({**rows, "weight_hh": rows["weight_hh"]})
    assert_raises(ValueError, lambda: backend.bind(cell, gates, dtype), "weight_ih")
    assert_raises(KeyError, lambda: backend.bind(cell + "x", scene.parameters, dtype), cell)
    assert_raises(ValueError, lambda: backend.bind(cell, scene.parameters, "float23"), "float32")


def assert_forward_refused(backend: Backend, scene: Scene, dtype: str, argument: str) -> None:
    layer = bind(backend, draw(scene.cell, dtype), dtype)
    for training in (False, True):
        assert_raises(
            ValueError, lambda training=training: forward(layer, scene, training=training), argument
        )
