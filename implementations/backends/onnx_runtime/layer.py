"""One ONNX Runtime session behind the contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from implementations.backends.onnx_runtime.graph import model
from implementations.checks import ArgumentChecks, check_bind, check_update
from implementations.contract import Array, Forward, Gradients, Layer, Parameters, UnsupportedCase

if TYPE_CHECKING:
    from implementations.backends.onnx_runtime.backend import OnnxBackend

State = tuple[Array, ...]
INFERENCE_ONLY = "inference only: ONNX Runtime's recurrent operators keep no tape and have no gradient"


class OnnxLayer(Layer):
    """A session over constant weights, made at the first forward and after each update.

    A session is made for one number of threads, and with or without lengths.
    """

    parameters: Mapping[str, Array]
    backend: OnnxBackend

    def __init__(self, backend: OnnxBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._checks = ArgumentChecks(self.cell, parameters.input_size, parameters.hidden_size)
        self.parameters = _copies(parameters.arrays())
        self._sessions: dict[tuple[bool, int], onnxruntime.InferenceSession] = {}

    def update(self, parameters: Mapping[str, Array] | Parameters) -> None:
        arrays = parameters.arrays() if isinstance(parameters, Parameters) else parameters
        check_update(
            {name: array.shape for name, array in self.parameters.items()},
            {name: np.shape(array) for name, array in arrays.items()},
        )
        self.parameters = _copies({name: arrays[name] for name in self.parameters})
        self._sessions.clear()

    def forward(
        self,
        inputs: Array,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, stops = self._checks.forward(inputs, initial_state, lengths)
        if training:
            self._refuse(INFERENCE_ONLY)
        if stops is not None:
            # NaN in the padding is nobody's concern
            inputs = np.where(np.arange(seq_len)[:, None, None] < stops[None, :, None], inputs, 0)
        self._refuse(why_not_finite("inputs", inputs))
        for name, state in zip(self.cell.state_names, initial_state or (), strict=False):
            self._refuse(why_not_finite(f"initial_state {name}", state))
        hidden_size = self._checks.hidden_size
        given = {"X": _contiguous(inputs)}
        if stops is not None:
            given["lengths"] = stops.astype(np.int32)
        for k, name in enumerate(self.cell.state_names):
            state = np.zeros((batch_size, hidden_size)) if initial_state is None else initial_state[k]
            given[f"initial_{name}"] = _contiguous(state)[None]
        output, *final = self._session(with_lengths=stops is not None).run(None, given)
        return Forward(output[:, 0], tuple(state[0] for state in final), None)

    def backward(
        self, tape: Any, grad_output: Array | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        raise UnsupportedCase(f"{self.backend.name}: {INFERENCE_ONLY}")

    def _refuse(self, reason: str | None) -> None:
        if reason is not None:
            raise UnsupportedCase(f"{self.backend.name}: {reason}")

    def _session(self, *, with_lengths: bool) -> onnxruntime.InferenceSession:
        key = (with_lengths, self.backend.num_threads)
        if key not in self._sessions:
            for name, array in self.parameters.items():
                self._refuse(why_not_finite(name, array))
            made = model(self.cell, self.parameters, with_lengths=with_lengths)
            self._sessions[key] = self.backend.session(made)
        return self._sessions[key]


def why_not_finite(name: str, array: Array) -> str | None:
    """Why these values cannot be computed with, or None where they can.

    The operators clamp: NaN comes out as a number, and nobody would see that it was there.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # one sum is far cheaper than a look at each element, and tells unless it overflows
        if math.isfinite(array.sum()) or np.isfinite(array).all():
            return None
    return f"{name} must be finite, got NaN or inf: ONNX Runtime's recurrent operators lose it"


def _contiguous(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)


def _copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(array, np.float32) for name, array in arrays.items()}
