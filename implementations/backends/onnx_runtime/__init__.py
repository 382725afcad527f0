"""Backend `onnxruntime`: ONNX's RNN, LSTM and GRU operators, inference only, on the CPU.

This module names it; ONNX Runtime itself is imported only when it is loaded.
"""

from __future__ import annotations

from implementations.contract import Backend, BackendUnavailable
from implementations.hints import Hint, hinted
from implementations.registry import BACKENDS


@BACKENDS.register("onnxruntime")
@hinted(Hint("onnxruntime", loading=4.0, step_calls=3.0, inference_only=True))
def load() -> Backend:
    """ONNX Runtime's recurrent operators on the CPU: inference only."""
    try:
        from implementations.backends.onnx_runtime.backend import OnnxBackend
    except ImportError as error:
        raise BackendUnavailable(f"onnxruntime: {error}; `pip install .[peers]` brings it") from error
    return OnnxBackend()
