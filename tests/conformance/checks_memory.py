"""Tapes and memory: what is given stays as it is, what is returned stays what it was."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from implementations import Backend, TapeUsed
from tests.conformance.scene import (
    Results,
    assert_agree,
    assert_raises,
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
        scene.parameters.arrays(),
    )


def check_lengths_are_not_changed(backend: Backend, cell: str, dtype: str) -> None:
    lengths = np.array([4, 6, 1])
    results(backend, draw(cell, dtype).but(lengths=lengths), dtype)
    assert lengths.tolist() == [4, 6, 1]


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
    tape = forward(layer, scene, training=True).tape
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


def check_two_layers_do_not_meet(backend: Backend, cell: str, dtype: str) -> None:
    scene, other = draw(cell, dtype), draw(cell, dtype, seed=1)
    layers = bind(backend, scene, dtype), bind(backend, other, dtype)
    passed = forward(layers[0], scene), forward(layers[1], other)
    for layer, result, which in zip(layers, passed, (scene, other), strict=True):
        grads = gradient_results(layer, backward(layer, result.tape, which))
        assert_agree({**forward_results(layer, result), **grads}, reference(which), dtype)
