"""∂s_t/∂s_k as a backend really computes it, through its own backward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.gradients.arguments import checked_anchor, checked_lag
from harness.gradients.trajectory import Array
from implementations.contract import Layer


def measured_jacobian(
    layer: Layer,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    anchor: int | None = None,
    lag: int,
    dtype: str = "float64",
    device: str = "cpu",
) -> Array:
    """The whole state Jacobian (B, S, S) of a bound layer, fused kernels included.

    One sample is repeated S times along the batch and started from its state at k; the identity as gradient
    of the final state makes one backward return all rows.  The arithmetic is the layer's own.

    Args:
        layer: what `Backend.bind` returned.
        inputs: (T, B, I) in NumPy.
        initial_state: tuple of (B, H) in NumPy; zeros where None.
        anchor: t, in 0…T; T where None.
        lag: t − k, in 0…t.
        dtype: of the array that is returned.
        device: "cpu", where the returned array is.

    Raises:
        ValueError: an anchor or lag that does not exist, a device other than "cpu".
    """
    if device != "cpu":
        raise ValueError(
            f"device must be 'cpu', got {device!r}: the layer's own backend decides where it runs"
        )
    inputs = np.asarray(inputs)
    t = checked_anchor(anchor, len(inputs))
    steps = checked_lag(lag, t)
    names = layer.cell.state_names
    batch_size = inputs.shape[1]
    hidden_size = int(layer.backend.to_numpy(layer.parameters["weight_hh"]).shape[1])
    size = hidden_size * len(names)
    if steps == 0:
        return np.broadcast_to(np.eye(size, dtype=dtype), (batch_size, size, size)).copy()
    start = _state_at(layer, inputs[: t - steps], initial_state, (batch_size, hidden_size))
    window = inputs[t - steps : t]
    rows = np.eye(size, dtype=inputs.dtype)
    native = _Native(layer)
    samples = []
    for b in range(batch_size):
        repeated = tuple(np.repeat(array[b : b + 1], size, axis=0) for array in start)
        forward = layer.forward(
            native(np.repeat(window[:, b : b + 1], size, axis=1)), native.state(repeated), training=True
        )
        gradients = layer.backward(
            forward.tape, grad_final_state=native.state(np.split(rows, len(names), axis=1))
        )
        samples.append(np.concatenate([native.back(array) for array in gradients.initial_state], axis=1))
    return np.stack(samples).astype(dtype)


class _Native:
    """To and from a layer's own arrays."""

    def __init__(self, layer: Layer) -> None:
        self._backend, self._dtype = layer.backend, layer.dtype
        self._border = "float64" if layer.dtype == "float64" else "float32"

    def __call__(self, array: Array) -> object:
        return self._backend.to_native(np.ascontiguousarray(array, dtype=self._border), self._dtype)

    def state(self, arrays: Sequence[Array]) -> tuple[object, ...]:
        return tuple(self(array) for array in arrays)

    def back(self, native: object) -> Array:
        return self._backend.to_numpy(native)


def _state_at(
    layer: Layer, inputs: Array, initial_state: Sequence[Array] | None, shape: tuple[int, int]
) -> tuple[Array, ...]:
    """The layer's own state after these inputs."""
    if initial_state is None:
        initial_state = tuple(np.zeros(shape) for _ in layer.cell.state_names)
    if len(inputs) == 0:
        return tuple(np.asarray(array) for array in initial_state)
    native = _Native(layer)
    forward = layer.forward(native(inputs), native.state(initial_state), training=False)
    return tuple(native.back(array) for array in forward.final_state)
