"""A recurrent network with a readout: whatever is trained here.

x_t is the input itself, or the embedding of a token; the recurrent layer (one layer or a stack) runs in
whatever backend it is bound to, which also computes its gradients; the readout is linear.  What stands before
and after the layer is NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.training.objectives import Objective
from implementations.contract import Backend, Forward, Gradients, Parameters

Array = NDArray[Any]

OWN = ("embedding", "readout_weight", "readout_bias")
"""Weights that are not the recurrent layer's."""
_READOUT = 6
"""Name of the random stream of the readout."""


class Recurrent(Protocol):
    """What a model needs of its recurrent part: a layer, a stack, or one that clips on its way back."""

    @property
    def backend(self) -> Backend: ...
    @property
    def dtype(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    def update(self, parameters: Mapping[str, Any]) -> None: ...
    def forward(self, inputs: Any, initial_state: Any = None, *, training: bool) -> Forward: ...
    def backward(self, tape: Any, grad_output: Any = None, grad_final_state: Any = None) -> Gradients: ...


@dataclass(frozen=True)
class Batch:
    """Args:
    inputs: (T, B, I) numbers, or (T, B) tokens for a model with an embedding.
    targets: (R, B, O) numbers or (R, B) class numbers: of the last R steps, the only ones that are read.
    """

    inputs: Array
    targets: Array


@dataclass(frozen=True)
class Loss:
    """The mean loss, and its gradient by every weight."""

    value: float
    gradients: dict[str, Array]


class SequenceModel:
    """y_t = R h_t + b for the steps that are read; every batch starts from the zero state.

    Args:
        layer: the bound recurrent part, whose output is (T, B, width).
        output_size: O.
        objective: of predictions and targets.
        embedding: (V, I), as it starts; None where inputs are numbers.
        readout: (O, width) as it starts, or "zero" (every class is equally likely), or "uniform":
            U(−1/√width, 1/√width), as torch.nn.Linear starts.
        seed: of that start.

    Raises:
        ValueError: an embedding whose width is not the layer's input size.
    """

    def __init__(
        self,
        layer: Recurrent,
        output_size: int,
        objective: Objective,
        *,
        embedding: Array | None = None,
        readout: Array | str = "uniform",
        seed: int = 0,
    ) -> None:
        self.layer, self.objective = layer, objective
        own = {name: layer.backend.to_numpy(native) for name, native in layer.parameters.items()}
        inputs, outputs = _widths(own)
        self.weights: dict[str, Array] = {name: np.array(array, self._dtype) for name, array in own.items()}
        if embedding is not None:
            if embedding.shape[1] != inputs:
                raise ValueError(f"embedding must be (V, {inputs}), got {embedding.shape}")
            self.weights["embedding"] = np.array(embedding, self._dtype)
        if isinstance(readout, str):
            readout = _readout(readout, output_size, outputs, seed)
        self.weights["readout_weight"] = np.array(readout, self._dtype)
        self.weights["readout_bias"] = np.zeros(output_size, self._dtype)

    @property
    def _dtype(self) -> str:
        return "float64" if self.layer.dtype == "float64" else "float32"

    @property
    def parameters(self) -> Parameters:
        """The weights of a single recurrent layer as they are now, in float64."""
        return Parameters.from_arrays(self._recurrent()).astype("float64")

    @property
    def embedding(self) -> Array:
        """(V, I) as it is now, in float64."""
        return self.weights["embedding"].astype(np.float64)

    def update(self, weights: Mapping[str, Array]) -> None:
        """Take new weights, of the same names and shapes."""
        self.weights = {name: np.asarray(weights[name], self._dtype) for name in self.weights}
        layer = self.layer
        layer.update({n: layer.backend.to_native(a, layer.dtype) for n, a in self._recurrent().items()})

    def predictions(self, inputs: Array, count: int) -> Array:
        """Of the last `count` steps, (count, B, O)."""
        output = self.layer.forward(self._native(self._vectors(inputs)), training=False).output
        return self._read(self.layer.backend.to_numpy(output)[-count:])

    def loss(self, batch: Batch) -> float:
        """The mean loss."""
        value, _ = self.objective(self.predictions(batch.inputs, len(batch.targets)), batch.targets)
        return value

    def loss_and_gradients(self, batch: Batch) -> Loss:
        """The mean loss, and its gradient by every weight."""
        backend, count = self.layer.backend, len(batch.targets)
        forward = self.layer.forward(self._native(self._vectors(batch.inputs)), training=True)
        output = backend.to_numpy(forward.output)
        read = output[-count:]
        value, grad = self.objective(self._read(read), batch.targets)
        grad_output = np.zeros_like(output)
        np.matmul(grad, self.weights["readout_weight"], out=grad_output[-count:])
        found = self.layer.backward(forward.tape, self._native(grad_output))
        gradients = {name: backend.to_numpy(array) for name, array in found.parameters.items()}
        if "embedding" in self.weights:
            rows, size = backend.to_numpy(found.inputs), len(self.weights["embedding"])
            gradients["embedding"] = _summed_by_token(rows, batch.inputs, size)
        gradients["readout_weight"] = np.tensordot(grad, read, axes=((0, 1), (0, 1)))
        gradients["readout_bias"] = grad.sum(axis=(0, 1))
        return Loss(value, {name: gradients[name] for name in self.weights})

    def _recurrent(self) -> dict[str, Array]:
        return {name: array for name, array in self.weights.items() if name not in OWN}

    def _vectors(self, inputs: Array) -> Array:
        return self.weights["embedding"][inputs] if "embedding" in self.weights else inputs

    def _native(self, array: Array) -> Any:
        return self.layer.backend.to_native(np.asarray(array, self._dtype), self.layer.dtype)

    def _read(self, output: Array) -> Array:
        return output @ self.weights["readout_weight"].T + self.weights["readout_bias"]


def _summed_by_token(rows: Array, tokens: Array, size: int) -> Array:
    """Σ over all places of each token's rows (T, B, I), (V, I): a sparse product of one-hot tokens with them,
    in a thirtieth of the time of `numpy.add.at`."""
    from scipy import sparse

    count = tokens.size
    ones = np.ones(count, rows.dtype)
    one_hot = sparse.csc_array((ones, tokens.ravel(), np.arange(count + 1)), shape=(size, count))
    return np.asarray(one_hot @ rows.reshape(count, -1))


def _widths(own: Mapping[str, Array]) -> tuple[int, int]:
    """I of the first layer, and the width of the last one's output (its directions side by side)."""
    hidden_size = next(a.shape[1] for n, a in own.items() if n.startswith("weight_hh"))
    directions = 2 if any(name.endswith("_reverse") for name in own) else 1
    first = next(a.shape[1] for n, a in own.items() if n.startswith("weight_ih"))
    return first, hidden_size * directions


def _readout(kind: str, output_size: int, width: int, seed: int) -> Array:
    if kind == "zero":
        return np.zeros((output_size, width))
    if kind != "uniform":
        raise ValueError(f"readout must be 'zero', 'uniform' or an array, got {kind!r}")
    bound = 1.0 / np.sqrt(width)
    return np.random.default_rng([seed, _READOUT]).uniform(-bound, bound, (output_size, width))
