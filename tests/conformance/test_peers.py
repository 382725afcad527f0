"""The optional backends: absent without harm, and each one's own pitfalls where it is present."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from implementations import Backend, BackendUnavailable, UnsupportedCase, load_backend
from implementations.backends.torch_stepwise import compile as compile_module
from implementations.backends.torch_stepwise import script as script_module
from implementations.contract import Array
from tests.conformance.scene import (
    assert_agree,
    backward,
    bind,
    draw,
    expected_forward,
    forward,
    forward_results,
    gradient_results,
    reference,
)


def present(name: str) -> Backend:
    """The backend, or a skip with the reason why it is not here."""
    try:
        return load_backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("name", "library"), [("jax", "jax"), ("onnxruntime", "onnx"), ("onnxruntime", "onnxruntime")]
)
def test_an_absent_library_is_named_with_its_remedy(name: str, library: str) -> None:
    found = in_a_fresh_process(
        f"import sys; sys.modules[{library!r}] = None\n"
        "from implementations import BackendUnavailable, load_backend\n"
        f"try: load_backend({name!r})\n"
        "except BackendUnavailable as error: print(error)"
    )
    assert found.startswith(f"{name}: ")
    assert library in found
    assert "pip install .[peers]" in found


def test_listing_loads_no_peer() -> None:
    found = in_a_fresh_process(
        "import sys; from implementations import BACKENDS; list(BACKENDS)\n"
        "print([m for m in ('jax', 'onnx', 'onnxruntime', 'torch') if m in sys.modules])"
    )
    assert found == "[]"


def test_no_compiler_no_torch_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    compilers = compile_module._quietly_imported("torch._inductor.cpp_builder")
    errors = compile_module._quietly_imported("torch._inductor.exc")

    def none_found() -> str:
        raise errors.InvalidCxxCompiler

    monkeypatch.setattr(compilers, "get_cpp_compiler", none_found)
    with pytest.raises(BackendUnavailable, match=r"torch_compile: no C\+\+ compiler found; install"):
        load_backend("torch_compile")


def test_no_headers_no_torch_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compile_module.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(
        compile_module._quietly_imported("torch._inductor.cpp_builder"), "get_cpp_compiler", lambda: "g++"
    )
    with pytest.raises(BackendUnavailable, match=r"torch_compile: no .*Python\.h; install"):
        load_backend("torch_compile")


def test_no_torchscript_no_torch_script(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(function: object) -> object:
        raise RuntimeError("torch.jit.script was removed\nand more")

    script_module.scripted.cache_clear()
    monkeypatch.setattr(torch.jit, "script", gone)
    with pytest.raises(BackendUnavailable, match=r"torch_script: .* does not script: .* was removed$"):
        load_backend("torch_script")


@pytest.mark.parametrize("name", ["torch_eager", "torch_script"])
def test_a_tape_outlives_an_update(name: str) -> None:
    """It holds the values that its forward saw."""
    scene, other = draw("gru", "float64"), draw("gru", "float64", seed=1)
    layer = bind(load_backend(name), scene, "float64")
    passed = forward(layer, scene)
    layer.update(other.parameters)
    found = gradient_results(layer, backward(layer, passed.tape, scene))
    assert_agree(found, reference(scene), "float64", found)


@pytest.mark.parametrize(("name", "kind"), [("torch_eager", "torch tensors"), ("jax", "JAX arrays")])
def test_foreign_arrays_are_refused_by_kind(name: str, kind: str) -> None:
    scene = draw("lstm", "float32")
    layer = bind(present(name), scene, "float32")
    with pytest.raises(ValueError, match=rf"takes {kind} \(use to_native\), got ndarray"):
        layer.forward(scene.inputs, training=False)


def test_jax_keeps_dtypes_and_copies() -> None:
    backend, array = present("jax"), np.ones((2, 3))
    for dtype in ("float64", "float32"):
        held = backend.to_native(array.astype(dtype))
        assert held.dtype == dtype
        assert (held * 2).dtype == dtype
    held = backend.to_native(array)
    array[:] = 7
    assert not (backend.to_numpy(held) == 7).any()
    with pytest.raises(ValueError, match="bfloat16"):
        backend.to_native(array, "bfloat16")


def test_jax_compiles_once_for_equal_shapes() -> None:
    """Other layers, other values and updates compile nothing anew."""
    backend = present("jax")
    from implementations.backends.jax_scan import passes

    compiled = (passes.infer, passes.keep, passes.pull)

    def run(seed: int, batch_size: int = 3) -> tuple[int, ...]:
        scene = draw("rnn_tanh", "float32", seed=seed, batch_size=batch_size)
        layer = bind(backend, scene, "float32")
        layer.update(scene.parameters)
        forward(layer, scene, training=False)
        backward(layer, forward(layer, scene).tape, scene)
        return tuple(function._cache_size() for function in compiled)

    assert run(0) == run(1)
    before = backend.compilation()
    run(2)
    assert backend.compilation() == before
    run(3, batch_size=4)
    assert backend.compilation().compiled > before.compiled
    assert backend.compilation().seconds > before.seconds


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_jax_has_the_threads_it_says() -> None:
    present("jax")
    found = in_a_fresh_process(
        "from pathlib import Path; from implementations import load_backend\n"
        "import numpy as np\n"
        "backend = load_backend('jax'); backend.set_num_threads(1)\n"
        "x = backend.to_native(np.ones((64, 64))); (x @ x).block_until_ready()\n"
        "names = [p.read_text().strip() for p in Path('/proc/self/task').glob('*/comm')]\n"
        "print(backend.num_threads, sum(name == 'tf_XLAEigen' for name in names))"
    )
    assert found == "1 1"


def test_onnxruntime_trains_nothing() -> None:
    backend, scene = present("onnxruntime"), draw("lstm", "float32")
    layer = bind(backend, scene, "float32")
    for refused in (
        lambda: forward(layer, scene, training=True),
        lambda: layer.backward(None, scene.grad_output),
    ):
        with pytest.raises(UnsupportedCase, match="inference only"):
            refused()
    assert backend.why_unsupported("lstm", "float32") is None
    assert "float32 alone" in str(backend.why_unsupported("lstm", "float64"))
    assert "no ONNX operator" in str(backend.why_unsupported("rnn_tanh_preactivation", "float32"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_onnxruntime_refuses_what_its_operators_would_lose(bad: float) -> None:
    backend, scene = present("onnxruntime"), draw("gru", "float32")

    def spoilt(array: Array) -> Array:
        array = array.copy()
        array.flat[1] = bad
        return array

    weights = {**scene.parameters.arrays(), "weight_hh": spoilt(scene.parameters.weight_hh)}
    layer = bind(backend, scene, "float32")
    with pytest.raises(UnsupportedCase, match="inputs must be finite"):
        layer.forward(spoilt(scene.inputs), training=False)
    with pytest.raises(UnsupportedCase, match="initial_state h must be finite"):
        layer.forward(scene.inputs, (spoilt(scene.initial_state[0]),), training=False)
    layer.update(weights)
    with pytest.raises(UnsupportedCase, match="weight_hh must be finite"):
        layer.forward(scene.inputs, training=False)


@pytest.mark.parametrize("cell", ["rnn_relu", "lstm", "gru", "gru_reset_before"])
def test_onnxruntime_reads_no_padding(cell: str) -> None:
    backend, scene = present("onnxruntime"), draw(cell, "float32").but(lengths=np.array([2, 6, 4]))
    inputs = scene.inputs.copy()
    for b, length in enumerate(scene.lengths):
        inputs[length:, b] = np.nan
    layer = bind(backend, scene, "float32")
    found = forward_results(layer, forward(layer, scene.but(inputs=inputs)))
    assert_agree(found, expected_forward(scene), "float32")


def test_onnxruntime_large_finite_values_are_no_infinities() -> None:
    """Their sum overflows: the cheap test for NaN must not take them for one."""
    scene = draw("lstm", "float32")
    layer = bind(present("onnxruntime"), scene, "float32")
    large = scene.but(inputs=np.full_like(scene.inputs, 3e38))
    assert np.isfinite(forward_results(layer, forward(layer, large))["output"]).all()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_onnxruntime_updates_and_leaves_alone(num_threads: int) -> None:
    """What the suite shows of others in training passes: nothing given or returned is touched."""
    backend = present("onnxruntime")
    before = backend.num_threads
    backend.set_num_threads(num_threads)
    try:
        scene, other = draw("gru", "float32"), draw("gru", "float32", seed=1)
        layer = bind(backend, scene, "float32")
        given = scene.inputs.copy()
        first = forward_results(layer, forward(layer, scene))
        kept = {name: array.copy() for name, array in first.items()}
        layer.update(other.parameters)
        second = forward_results(layer, forward(layer, other))
    finally:
        backend.set_num_threads(before)
    assert_agree(second, expected_forward(other), "float32")
    assert np.array_equal(scene.inputs, given)
    for name, array in first.items():
        assert np.array_equal(array, kept[name])
        assert not any(np.shares_memory(array, value) for value in (*second.values(), scene.inputs))
