"""What the suite over all backends cannot see of `numba`: its activations, products and threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("numba")

from implementations.backends.numba_cpu import activations, passes, products, stages, step_product, work
from implementations.backends.numba_cpu.adapter import NumbaBackend
from implementations.backends.numba_cpu.compiling import routine
from implementations.backends.numba_cpu.host import Host, panel_width
from implementations.backends.numba_cpu.kernels import KERNELS
from implementations.backends.numba_cpu.products import (
    Rows,
    add_outer,
    multiply,
    multiply_step,
    one_row,
    pack,
    rows_of,
)
from implementations.backends.numba_cpu.threads import POOL
from implementations.backends.numba_cpu.views import flat
from implementations.backends.numba_cpu.work import ForwardWork
from implementations.contract import Array
from tests.conformance.scene import assert_agree, assert_same, bind, draw, forward, reference, results

PRECISION = {"float32": 3e-7, "float64": 1e-15}
"""Largest relative error of an activation."""


@routine
def sigmoids(x, y):
    for j in range(x.size):
        y[j] = activations.sigmoid(x[j])


@routine
def tanhs(x, y):
    for j in range(x.size):
        y[j] = activations.tanh(x[j])


def exact_sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


ACTIVATIONS = {"sigmoid": (sigmoids, exact_sigmoid), "tanh": (tanhs, np.tanh)}


def arguments(dtype: str) -> Array:
    """From far below the smallest interesting value to saturation, on both sides."""
    rng = np.random.default_rng(0)
    magnitudes = np.exp(rng.uniform(-60, 4.4, 20_000))
    return np.concatenate([magnitudes, -magnitudes, np.linspace(-20, 20, 20_001)]).astype(dtype)


def worst_relative_error(values: Array, x: Array, exact: Array) -> float:
    exact = exact.astype(np.longdouble)
    return float(np.max(np.abs((values - exact) / np.where(exact == 0, 1, exact))))


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", ACTIVATIONS)
class TestActivations:
    def test_is_accurate_in_relative_terms(self, name: str, dtype: str) -> None:
        compiled, exact = ACTIVATIONS[name]
        x = arguments(dtype)
        y = np.empty_like(x)
        compiled(x, y)
        assert worst_relative_error(y, x, exact(x.astype(np.longdouble))) < PRECISION[dtype]

    def test_special_values(self, name: str, dtype: str) -> None:
        compiled, exact = ACTIVATIONS[name]
        x = np.array([0.0, np.inf, -np.inf, np.nan, 1e30, -1e30] * 8, dtype)
        y = np.empty_like(x)
        compiled(x, y)
        with np.errstate(invalid="ignore", over="ignore"):
            np.testing.assert_array_equal(y, exact(x))

    def test_is_vector_code(self, name: str, dtype: str) -> None:
        """Division is what Numba would refuse to vectorise under Python's rules."""
        compiled, _ = ACTIVATIONS[name]
        x = np.zeros(4, dtype)
        compiled(x, x)
        (code,) = (text for sig, text in compiled.inspect_llvm().items() if sig[0].dtype.name == dtype)
        element = {"float32": "float", "float64": "double"}[dtype]
        assert any("fdiv" in line and f"x {element}>" in line for line in code.splitlines())


@pytest.mark.parametrize("dtype", PRECISION)
def test_a_textbook_tanh_would_be_caught(dtype: str) -> None:
    x = arguments(dtype)
    with np.errstate(over="ignore"):
        textbook = 1 - 2 / (np.exp(2 * x) + 1)
    assert worst_relative_error(textbook, x, np.tanh(x.astype(np.longdouble))) > 100 * PRECISION[dtype]


@routine
def product_with(steps, rows, a, panels, bias, c, columns):
    x = Rows(flat(a), 0, rows * a.shape[1], a.shape[1])
    y = Rows(flat(c), 0, rows * c.shape[1], c.shape[1])
    multiply(steps, rows, x, flat(panels), a.shape[1], one_row(bias), y, columns)


@routine
def product_of_step(t, a, panels, c):
    x, y = rows_of(a, 0), rows_of(c, 0)
    multiply_step(t, a.shape[1], x, flat(panels), a.shape[2], y, y, c.shape[2])


@routine
def outer_with(a, b, rows, keep, c):
    """The first `rows` rows of each of b's steps."""
    x = Rows(flat(a), 0, rows * a.shape[1], a.shape[1])
    add_outer(b.shape[0], rows, x, a.shape[1], rows_of(b, 0), b.shape[2], keep, flat(c))


@pytest.mark.parametrize("dtype", PRECISION)
class TestProducts:
    @pytest.mark.parametrize("columns", [3, 40])
    @pytest.mark.parametrize("depth", [1, 7])
    @pytest.mark.parametrize(("steps", "rows"), [(1, 1), (1, 15), (3, 5), (20, 2)])
    def test_multiply(self, dtype: str, steps: int, rows: int, depth: int, columns: int) -> None:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((steps * rows, depth)).astype(dtype)
        weights = rng.standard_normal((depth, columns)).astype(dtype)
        bias = rng.standard_normal(columns).astype(dtype)
        c = np.full((steps * rows, columns + 2), -7, dtype)  # two columns beyond, which must stay
        product_with(steps, rows, a, pack(weights), bias, c, columns)
        np.testing.assert_allclose(c[:, :columns], a @ weights + bias, rtol=1e-4, atol=1e-5)
        assert np.all(c[:, columns:] == -7)

    @pytest.mark.parametrize("rows", [1, 2])
    @pytest.mark.parametrize("columns", [3, 64, 200])
    @pytest.mark.parametrize("depth", [1, 7])
    def test_multiply_step(self, dtype: str, depth: int, columns: int, rows: int) -> None:
        """In whichever direction a step goes through the weights, each product is the same to the bit."""
        rng = np.random.default_rng(0)
        a = rng.standard_normal((1, rows, depth)).astype(dtype)
        weights = rng.standard_normal((depth, columns)).astype(dtype)
        start = rng.standard_normal((1, rows, columns)).astype(dtype)
        found = [start.copy(), start.copy()]
        for t, c in enumerate(found):
            product_of_step(t, a, pack(weights), c)
        np.testing.assert_allclose(found[0], start + a @ weights, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found[0], found[1])

    @pytest.mark.parametrize("keep", [0, 1])
    @pytest.mark.parametrize("columns", [1, 33, 64])
    @pytest.mark.parametrize("height", [1, 9, 24])
    def test_add_outer(self, dtype: str, height: int, columns: int, keep: int) -> None:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((3 * 5, height)).astype(dtype)
        b = rng.standard_normal((3, 6, columns)).astype(dtype)
        b[:, 5:] = np.nan  # a row of each step that is not ours
        c = np.full((height, columns), 2 if keep else np.nan, dtype)
        outer_with(a, b, 5, keep, c)
        found = a.T @ b[:, :5].reshape(15, columns) + 2 * keep
        np.testing.assert_allclose(c, found, rtol=1e-4, atol=1e-4)

    def test_packed_panels_hold_every_weight_once(self, dtype: str) -> None:
        width = panel_width(dtype)
        weights = np.arange(1, 3 * (width + 1) + 1, dtype=dtype).reshape(3, width + 1)
        panels = pack(weights)
        assert panels.shape == (2, 3, width)
        np.testing.assert_array_equal(np.concatenate(panels, axis=1)[:, : width + 1], weights)
        assert not panels[1, :, 1:].any()


@pytest.mark.parametrize(
    ("triple", "features", "vector_bytes"),
    [
        ("x86_64-unknown-linux-gnu", "+avx512f,+avx2,+avx", 64),
        ("x86_64-unknown-linux-gnu", "-avx512f,+avx2,+avx", 32),
        ("x86_64-unknown-linux-gnu", "-avx512f,-avx2,-avx", 16),
        ("arm64-apple-darwin", "", 16),
    ],
)
def test_vectors_are_as_wide_as_the_machine_has_them(triple: str, features: str, vector_bytes: int) -> None:
    assert Host.of(triple, features).vector_bytes == vector_bytes


@pytest.fixture
def backend() -> NumbaBackend:
    return NumbaBackend()


@pytest.fixture(params=["samples", "chunks", "stages"])
def divided(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Sizes and a way to divide a pass, with every pass worth a thread."""
    monkeypatch.setattr(passes, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(passes, "WORTH_STAGES", 0)
    if request.param == "samples":
        return {"seq_len": 40, "batch_size": 7}
    if request.param == "chunks":
        monkeypatch.setattr(passes, "CHUNK_ROWS", 2)
        monkeypatch.setattr(passes, "BLOCK_ROWS", 6)
        return {"seq_len": 20, "batch_size": 9}
    monkeypatch.setattr(passes, "WINDOW", 16)
    monkeypatch.setattr(stages, "WINDOW", 16)
    monkeypatch.setattr(work, "WINDOW", 16)
    return {"seq_len": 100, "batch_size": 1}


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("cell", KERNELS)
class TestThreads:
    @pytest.mark.parametrize("num_threads", [2, 3])
    def test_agree_with_the_reference(
        self, backend: NumbaBackend, cell: str, dtype: str, num_threads: int, divided: dict[str, int]
    ) -> None:
        scene = draw(cell, dtype, input_size=5, hidden_size=19, **divided)
        backend.set_num_threads(num_threads)
        found = results(backend, scene, dtype)
        assert_agree(found, reference(scene), dtype)
        assert_same(results(backend, scene, dtype), found)
        inferred = forward(bind(backend, scene, dtype), scene, training=False)
        np.testing.assert_array_equal(inferred.output, found["output"])

    def test_lengths(self, backend: NumbaBackend, cell: str, dtype: str, divided: dict[str, int]) -> None:
        scene = draw(cell, dtype, input_size=5, hidden_size=19, **divided)
        lengths = np.random.default_rng(0).integers(1, divided["seq_len"], divided["batch_size"])
        scene = scene.but(lengths=lengths)
        backend.set_num_threads(2)
        assert_agree(results(backend, scene, dtype), reference(scene), dtype)


def test_a_pass_uses_the_threads_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread waits until all have come: two would not do for three."""
    backend, meeting, seen = NumbaBackend(), threading.Barrier(3), set()
    backend.set_num_threads(3)
    assert backend.num_threads == 3

    def meet(self: ForwardWork, *_: object) -> None:
        meeting.wait(timeout=30)
        seen.add(threading.get_ident())

    monkeypatch.setattr(ForwardWork, "__call__", meet)
    monkeypatch.setattr(passes, "WORTH_A_THREAD", 0)
    scene = draw("rnn_tanh", "float32", batch_size=3)
    forward(bind(backend, scene, "float32"), scene, training=False)
    assert len(seen) == 3


def test_the_product_of_a_step_by_itself_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows are somebody's, and the states go through the weights given."""
    weight = np.random.default_rng(1).standard_normal((2 * 19, 19)).astype("float32")
    seen: list[tuple[Array, Array, tuple[int, int]]] = []
    compiled = step_product.take_steps

    def watched(states: Array, panels: Array, zeros: Array, products: Array, *span: int) -> None:
        compiled(states, panels, zeros, products, *span)
        seen.append((states, products, (span[0], span[1])))

    monkeypatch.setattr(step_product, "take_steps", watched)
    step_product.step_product(weight, 5, 3000, "float32", 2)()
    (states, products, _), spans = seen[0], sorted(entry[2] for entry in seen)
    assert spans == [(0, 2), (2, 5)]
    np.testing.assert_allclose(products[0], states[-1] @ weight.T, rtol=1e-4, atol=1e-4)


def test_threads_below_one_are_refused(backend: NumbaBackend) -> None:
    with pytest.raises(ValueError, match="num_threads must be at least 1, got 0"):
        backend.set_num_threads(0)


def test_what_a_part_raises_is_raised() -> None:
    def fail() -> None:
        raise MemoryError("in a thread")

    with pytest.raises(MemoryError, match="in a thread"):
        POOL.run([lambda: None, fail])
    done: list[int] = []
    POOL.run([lambda: done.append(0), lambda: done.append(1)])
    assert sorted(done) == [0, 1]


@pytest.mark.parametrize("failing", [products.PROJECT, products.STEP, products.COLLECT, products.RECALL])
@pytest.mark.parametrize("count", [2, 3])
def test_a_stage_that_fails_leaves_nobody_waiting(count: int, failing: int) -> None:
    def run(worker: int, stages: int, samples: passes.Span, steps: passes.Span) -> None:
        if stages == failing and steps[0] > 300:
            raise MemoryError("in a stage")

    windows = passes.windows_of(640, stages.WINDOW)
    if failing in (products.PROJECT, products.STEP):
        with pytest.raises(MemoryError, match="in a stage"):
            stages.forward_by_stages(run, count, 640, 1)
    if failing != products.PROJECT:
        with pytest.raises(MemoryError, match="in a stage"):
            stages.backward_by_stages(run, count, 1, windows[::-1], recalls=3)


def test_parts_of_two_callers_may_wait_for_each_other() -> None:
    """Neither caller's parts are kept from running by those of the other that wait."""

    def meet(barrier: threading.Barrier) -> list[Callable[[], object]]:
        return [lambda: barrier.wait(timeout=30)] * 3

    other = threading.Thread(target=POOL.run, args=(meet(threading.Barrier(3)),))
    other.start()
    for _ in range(20):
        POOL.run(meet(threading.Barrier(3)))
    other.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    script = """
import os
from implementations.backends.numba_cpu.threads import POOL
POOL.run([lambda: None, lambda: None])
child = os.fork()
if not child:
    POOL.run([lambda: None, lambda: None])
    os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    assert subprocess.run(command, timeout=60, check=False).returncode == 7
