"""Backend `onnxruntime`: what it has, what it lacks, and how its sessions are set."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime

from implementations.backends.onnx_runtime.graph import OPERATORS
from implementations.backends.onnx_runtime.layer import INFERENCE_ONLY, OnnxLayer
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Parameters
from implementations.registry import CELLS

ERRORS_ONLY = 3
"""ONNX Runtime's severity from which on it writes to standard error."""


class OnnxBackend(Backend):
    name: ClassVar[str] = "onnxruntime"
    namespace: ClassVar[Any] = np

    def __init__(self) -> None:
        self._num_threads = len(os.sched_getaffinity(0))

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> OnnxLayer:
        return OnnxLayer(self, cell, parameters, dtype)

    def why_unsupported(
        self,
        cell: str,
        dtype: str,
        *,
        training: bool = False,
        seq_len: int | None = None,
        batch_size: int | None = None,
        input_size: int | None = None,
        hidden_size: int | None = None,
    ) -> str | None:
        CELLS[cell]
        if cell not in OPERATORS:
            return f"no ONNX operator computes {cell}; there are {', '.join(OPERATORS)}"
        if check_dtype(dtype) != "float32":
            return f"no {dtype} in ONNX Runtime's recurrent operators on the CPU: float32 alone"
        return INFERENCE_ONLY if training else None

    def session(self, model: bytes) -> onnxruntime.InferenceSession:
        """A session of `num_threads` threads, none of which spins while it waits."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def to_native(self, array: Array, dtype: str | None = None) -> Array:
        if dtype is None:
            return np.asarray(array)
        if check_dtype(dtype) != "float32":
            raise ValueError(f"dtype must be float32 in {self.name}, got {dtype}")
        return np.ascontiguousarray(array, np.float32)

    def to_numpy(self, native: Array) -> Array:
        return np.asarray(native)

    @property
    def num_threads(self) -> int:
        return self._num_threads

    def set_num_threads(self, n: int) -> None:
        self._num_threads = check_num_threads(n)

    def describe(self) -> dict[str, str]:
        return {
            "onnxruntime": onnxruntime.__version__,
            "onnx": onnx.__version__,
            "provider": "CPUExecutionProvider",
            "spinning": "off",
        }
