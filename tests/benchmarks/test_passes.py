"""Seconds per pass of every backend on this CPU, side by side: one group per cell, pass and size.

Nothing is timed that was not held against the reference on the very same numbers before, and every
backend has the same number of threads.  No test asserts a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from implementations import BACKENDS, CELLS, Backend, BackendUnavailable, Layer, load_backend
from tests.conformance.scene import Results, Scene, assert_agree, bind, draw, native, reference, results

pytestmark = pytest.mark.benchmark(max_time=0.5, min_rounds=5, warmup=False)

DTYPE = "float32"
SIZES = [(128, 1, 64), (128, 32, 128)]
"""(T, B, H); I = H."""
MAX_SECONDS = 2.0
"""A pass estimated to take longer is skipped, with the estimate as its reason."""


@cache
def scene_of(cell: str, seq_len: int, batch_size: int, hidden_size: int) -> Scene:
    return draw(
        cell,
        DTYPE,
        seq_len=seq_len,
        batch_size=batch_size,
        input_size=hidden_size,
        hidden_size=hidden_size,
    )


@cache
def reference_of(cell: str, *sizes: int) -> Results:
    return reference(scene_of(cell, *sizes))


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    try:
        backend = load_backend(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    if backend.device != "cpu":
        pytest.skip(f"{backend.name} computes on {backend.device}; this compares backends on the CPU")
    threads_before = backend.num_threads
    backend.set_num_threads(load_backend("numba").num_threads)
    yield backend
    backend.set_num_threads(threads_before)


def pass_of(layer: Layer, scene: Scene, training: bool) -> Callable[[], Any]:
    """What is timed: native arrays in, native arrays out."""
    inputs, initial_state, grad_output = (
        native(layer.backend, value, DTYPE)
        for value in (scene.inputs, scene.initial_state, scene.grad_output)
    )
    if not training:
        return lambda: layer.forward(inputs, initial_state, training=False)
    return lambda: layer.backward(layer.forward(inputs, initial_state, training=True).tape, grad_output)


def estimated_seconds(backend: Backend, scene: Scene, training: bool) -> float:
    """From the first two steps, the first of two runs apart: it may compile."""
    short = scene.but(inputs=scene.inputs[:2], grad_output=scene.grad_output[:2])
    run = pass_of(bind(backend, short, DTYPE), short, training)
    run()
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * scene.inputs.shape[0] / 2


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "T{}-B{}-H{}".format(*sizes))
@pytest.mark.parametrize("cell", list(CELLS))
def test_pass(
    benchmark: Any, backend: Backend, cell: str, sizes: tuple[int, int, int], training: bool
) -> None:
    seq_len, batch_size, hidden_size = sizes
    reason = backend.why_unsupported(
        cell,
        DTYPE,
        training=training,
        seq_len=seq_len,
        batch_size=batch_size,
        input_size=hidden_size,
        hidden_size=hidden_size,
    )
    if reason is not None:
        pytest.skip(f"{backend.name}: {reason}")
    scene = scene_of(cell, *sizes)
    seconds = estimated_seconds(backend, scene, training)
    if seconds > MAX_SECONDS:
        pytest.skip(f"{backend.name}: about {seconds:.0f} s for one pass, more than {MAX_SECONDS:.0f}")
    assert_agree(results(backend, scene, DTYPE), reference_of(cell, *sizes), DTYPE)
    run = pass_of(bind(backend, scene, DTYPE), scene, training)
    benchmark.group = "{} {} T={} B={} H={}".format(cell, "training" if training else "inference", *sizes)
    benchmark.extra_info.update(num_threads=backend.num_threads)
    run()
    benchmark(run)
