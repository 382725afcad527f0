"""What the suite over all backends cannot see of `numba_checkpointed`: segments, threads, and memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

pytest.importorskip("numba")

from implementations.backends.numba_cpu import passes, stages, work
from implementations.backends.numba_cpu.adapter import CheckpointedNumbaBackend, NumbaBackend
from implementations.backends.numba_cpu.kernels import KERNELS
from implementations.backends.numba_cpu.passes import segment_of
from implementations.backends.numba_cpu.recall import Recalled
from tests.conformance.scene import (
    Scene,
    assert_agree,
    assert_same,
    backward,
    bind,
    draw,
    forward,
    forward_results,
    gradient_results,
    reference,
    results,
)

RECALLING = [cell for cell, kernels in KERNELS.items() if kernels.recalls]


@pytest.fixture
def backend() -> CheckpointedNumbaBackend:
    return CheckpointedNumbaBackend()


@pytest.fixture(params=["samples", "chunks", "stages"])
def segmented(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Sizes of several segments, the last of them shorter, for each way to divide a pass."""
    monkeypatch.setattr(passes, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(passes, "WORTH_STAGES", 0)
    monkeypatch.setattr(passes, "BLOCK_ROWS", 6)
    monkeypatch.setattr(passes, "WINDOW", 16)
    monkeypatch.setattr(stages, "WINDOW", 16)
    monkeypatch.setattr(work, "WINDOW", 16)
    if request.param == "samples":
        return {"seq_len": 40, "batch_size": 7}
    if request.param == "chunks":
        monkeypatch.setattr(passes, "CHUNK_ROWS", 2)
        return {"seq_len": 20, "batch_size": 9}
    return {"seq_len": 100, "batch_size": 1}


@pytest.mark.parametrize("cell", RECALLING)
class TestSegments:
    @pytest.mark.parametrize("num_threads", [2, 3])
    def test_agree_with_the_reference(
        self, backend: CheckpointedNumbaBackend, cell: str, num_threads: int, segmented: dict[str, int]
    ) -> None:
        scene = draw(cell, "float64", input_size=5, hidden_size=19, **segmented)
        backend.set_num_threads(num_threads)
        found = results(backend, scene, "float64")
        assert_agree(found, reference(scene), "float64")
        assert_same(results(backend, scene, "float64"), found)

    def test_lengths(self, backend: CheckpointedNumbaBackend, cell: str, segmented: dict[str, int]) -> None:
        """Some end long before the last segment."""
        scene = draw(cell, "float64", input_size=5, hidden_size=19, **segmented)
        lengths = np.random.default_rng(0).integers(1, segmented["seq_len"], segmented["batch_size"])
        scene = scene.but(lengths=lengths)
        backend.set_num_threads(2)
        assert_agree(results(backend, scene, "float64"), reference(scene), "float64")

    def test_forward_is_that_of_the_plain_backend(
        self, backend: CheckpointedNumbaBackend, cell: str, segmented: dict[str, int]
    ) -> None:
        scene = draw(cell, "float32", input_size=5, hidden_size=19, **segmented)
        found = [
            forward_results(layer, forward(layer, scene))
            for layer in (bind(which, scene, "float32") for which in (backend, NumbaBackend()))
        ]
        assert_same(*found)

    @pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
    def test_threads_may_change_before_the_backward(
        self,
        backend: CheckpointedNumbaBackend,
        cell: str,
        segmented: dict[str, int],
        before: int,
        after: int,
    ) -> None:
        scene = draw(cell, "float64", **segmented)
        layer = bind(backend, scene, "float64")
        backend.set_num_threads(before)
        passed = forward(layer, scene)
        backend.set_num_threads(after)
        found = gradient_results(layer, backward(layer, passed.tape, scene))
        assert_agree(found, reference(scene), "float64", found)

    def test_a_segment_that_is_not_recalled_would_be_caught(
        self, backend: CheckpointedNumbaBackend, cell: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recall = Recalled.__call__

        def forget(self: Recalled, samples: passes.Span, steps: passes.Span) -> None:
            recall(self, samples, steps)
            memory, gates, _ = self.at(steps[0])
            memory[...] = gates[...] = 0.5

        monkeypatch.setattr(Recalled, "__call__", forget)
        scene = draw(cell, "float64")
        with pytest.raises(AssertionError):
            assert_agree(results(backend, scene, "float64"), reference(scene), "float64")


@pytest.mark.parametrize(
    ("seq_len", "batch_size", "steps"), [(1024, 16, 32), (1025, 16, 33), (1024, 1, 128), (5, 1, 5), (1, 1, 1)]
)
def test_a_segment_is_the_root_of_the_sequence(seq_len: int, batch_size: int, steps: int) -> None:
    """Or a block, where few samples make that longer."""
    assert segment_of(seq_len, batch_size) == steps


def peak_above_results(backend: NumbaBackend, scene: Scene) -> int:
    """Bytes that one training pass holds at its peak beyond what it returns."""
    layer = bind(backend, scene, "float32")
    inputs, grad_output = scene.inputs.astype("float32"), scene.grad_output.astype("float32")
    layer.backward(layer.forward(inputs, training=True).tape, grad_output)  # workspaces are there from now on
    tracemalloc.start()
    try:
        passed = layer.forward(inputs, training=True)
        gradients = layer.backward(passed.tape, grad_output)
        returned = [passed.output, gradients.inputs, *gradients.parameters.values()]
        return tracemalloc.get_traced_memory()[1] - sum(array.nbytes for array in returned)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", RECALLING)
def test_memory_grows_with_the_root_of_the_sequence(backend: CheckpointedNumbaBackend, cell: str) -> None:
    short, long = (draw(cell, "float32", seq_len=t, batch_size=16, hidden_size=32) for t in (64, 1024))
    assert peak_above_results(backend, long) < 6 * peak_above_results(backend, short)
    assert peak_above_results(backend, long) < peak_above_results(NumbaBackend(), long) / 4
