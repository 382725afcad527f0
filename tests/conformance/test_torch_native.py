"""What only torch's backends can get wrong: graphs, global state, precision switches, cuDNN's limits."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from implementations import BackendUnavailable, UnsupportedCase, load_backend
from implementations.backends.torch_native import cudnn as cudnn_module
from tests.conformance.scene import assert_agree, backward, bind, draw, forward, reference, results


def test_a_tape_from_before_an_update_is_refused() -> None:
    """Its graph refers to the weights in place; a silent answer would mix old states with new weights."""
    scene = draw("lstm", "float64")
    layer = bind(load_backend("torch"), scene, "float64")
    tape = forward(layer, scene).tape
    layer.update(scene.parameters)
    with pytest.raises(ValueError, match=r"tape must come from a forward after the last update"):
        backward(layer, tape, scene)


def test_a_result_of_inference_may_start_a_training_pass() -> None:
    """Truncated back-propagation: no inference tensor, no graph that goes on into the next chunk."""
    scene = draw("gru", "float64")
    layer = bind(load_backend("torch"), scene, "float64")
    start = forward(layer, scene, training=False)
    assert not start.output.requires_grad
    passed = layer.forward(layer.backend.to_native(scene.inputs), start.final_state, training=True)
    assert not passed.output.requires_grad
    assert layer.backward(passed.tape, passed.output).initial_state[0].abs().sum() > 0


def test_grad_mode_around_a_call_changes_nothing() -> None:
    scene = draw("lstm", "float64")
    for mode in (torch.no_grad, torch.enable_grad):
        with mode():
            assert_agree(results(load_backend("torch"), scene, "float64"), reference(scene), "float64")


def test_binding_draws_nothing_from_torchs_random_state() -> None:
    before = torch.get_rng_state()
    bind(load_backend("torch"), draw("lstm", "float64"), "float64")
    assert torch.equal(torch.get_rng_state(), before)


def test_numpy_arrays_are_refused_by_name() -> None:
    scene = draw("lstm", "float64")
    layer = bind(load_backend("torch"), scene, "float64")
    with pytest.raises(ValueError, match=r"torch takes torch tensors \(use to_native\), got ndarray"):
        layer.forward(scene.inputs, training=False)


def test_to_native_formats() -> None:
    backend, array = load_backend("torch"), np.ones((2, 3))
    assert backend.to_native(array).dtype == torch.float64
    assert backend.to_native(array, "float32").dtype == torch.float32
    with pytest.raises(ValueError, match="bfloat16"):
        backend.to_native(array, "bfloat16")


@pytest.mark.parametrize(
    ("cuda", "visible", "library", "expected"),
    [
        (None, False, False, "is built without CUDA"),
        ("13.0", False, True, "no CUDA device visible to torch"),
        ("13.0", True, False, "is built without cuDNN"),
        ("13.0", True, True, None),
    ],
)
def test_cudnn_says_why_it_is_not_there(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, visible: bool, library: bool, expected: str | None
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: visible)
    monkeypatch.setattr(torch._C, "_has_cudnn", library)
    reason = cudnn_module.why_unavailable()
    if expected is None:
        assert reason is None
        return
    assert expected in str(reason)
    with pytest.raises(BackendUnavailable, match="cudnn: "):
        load_backend("cudnn")


def test_cudnn_refuses_what_cudnn_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn_module, "accepted", lambda dtype: dtype != torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a device")
    backend = cudnn_module.CudnnBackend()
    assert backend.why_unsupported("lstm", "float32", seq_len=65535) is None
    assert "65535 steps" in str(backend.why_unsupported("lstm", "float32", seq_len=65536))
    assert "reset gate" in str(backend.why_unsupported("gru_reset_before", "float32"))
    assert "no bfloat16" in str(backend.why_unsupported("lstm", "bfloat16"))
    assert "has no TF32" in str(backend.why_unsupported("lstm", "tf32"))


def rnn_precision() -> str:
    return torch.backends.cudnn.rnn.fp32_precision


@contextmanager
def rnn_precision_set(value: str):
    before = rnn_precision()
    torch.backends.cudnn.rnn.fp32_precision = value
    try:
        yield
    finally:
        torch.backends.cudnn.rnn.fp32_precision = before


@pytest.mark.parametrize("outside", ["tf32", "ieee"])
@pytest.mark.parametrize(("dtype", "inside"), [("float32", "ieee"), ("tf32", "tf32"), ("float64", "ieee")])
def test_tf32_is_on_for_its_own_dtype_and_for_one_call(outside: str, dtype: str, inside: str) -> None:
    """The switch exists without a device; what a user set outside is found again, after an error too."""
    with rnn_precision_set(outside):
        enabled = torch.backends.cudnn.enabled
        with cudnn_module.CudnnBackend().precision(dtype):
            assert rnn_precision() == inside
            assert torch.backends.cudnn.enabled
        assert rnn_precision() == outside
        with pytest.raises(KeyError), cudnn_module.CudnnBackend().precision(dtype):
            raise KeyError
        assert rnn_precision() == outside
        assert torch.backends.cudnn.enabled == enabled


@pytest.mark.cuda
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize("dtype", ["tf32", "bfloat16", "float16"])
def test_reduced_precision(cell: str, dtype: str) -> None:
    backend = load_backend("cudnn")
    if reason := backend.why_unsupported(cell, dtype):
        pytest.skip(reason)
    scene = draw(cell, "float32", seq_len=20, batch_size=8, input_size=16, hidden_size=16)
    found = results(backend, scene, dtype)
    assert {array.dtype for array in found.values()} == {np.dtype("float32")}
    assert_agree(found, reference(scene), dtype)


@pytest.mark.cuda
def test_too_long_a_sequence_is_refused_before_cudnn_sees_it() -> None:
    scene = draw("rnn_tanh", "float32", batch_size=1)
    backend = load_backend("cudnn")
    layer = bind(backend, scene, "float32")
    with pytest.raises(UnsupportedCase, match="65535 steps"):
        layer.forward(backend.to_native(np.zeros((65536, 1, 3), "float32")), training=False)


@pytest.mark.cuda
def test_device_memory_sees_what_a_pass_keeps() -> None:
    """A training pass keeps at least its output; what was there before is not counted."""
    backend = load_backend("cudnn")
    scene = draw("lstm", "float32", seq_len=64, batch_size=32, hidden_size=64)
    layer = bind(backend, scene, "float32")
    standing = backend.to_native(np.zeros((1 << 20,), "float32"))
    with backend.device_memory() as found:
        passed = forward(layer, scene)
        backward(layer, passed.tape, scene)
    output_bytes = 64 * 32 * 64 * 4
    assert output_bytes <= found["allocated_bytes"] <= 40 * output_bytes
    assert found["reserved_bytes"] >= found["allocated_bytes"] - output_bytes
    assert standing.numel() == 1 << 20
