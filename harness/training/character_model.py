"""A character-level language model: a vector per character, one recurrent layer, a softmax over the next.

The recurrent layer runs in whatever backend it is bound to, which also computes its gradients; what stands
before and after it is NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Backend, Parameters

Array = NDArray[Any]

OWN = ("embedding", "readout_weight", "readout_bias")
"""Weights that are not the recurrent layer's."""


@dataclass(frozen=True)
class Loss:
    """Mean cross-entropy in nats per character, and its gradient by every weight."""

    value: float
    gradients: dict[str, Array]


class CharacterModel:
    """x_t = embedding[character_t], s_t = cell(x_t, s_{t−1}), p(character_{t+1}) = softmax(R h_t + b).

    Every batch starts from the zero state.

    Args:
        backend, cell, dtype: of the recurrent layer.
        parameters: the recurrent layer's, as it starts.
        embedding: (V, I), as it starts.  The readout starts at zero: every character is equally likely.
    """

    def __init__(
        self, backend: Backend, cell: str, parameters: Parameters, embedding: Array, dtype: str = "float32"
    ) -> None:
        if embedding.shape[1] != parameters.input_size:
            raise ValueError(f"embedding must be (V, {parameters.input_size}), got {embedding.shape}")
        self.backend, self.dtype = backend, dtype
        self.layer = backend.bind(cell, parameters, dtype)
        vocabulary_size = len(embedding)
        own = (embedding, np.zeros((vocabulary_size, parameters.hidden_size)), np.zeros(vocabulary_size))
        arrays = {**parameters.arrays(), **dict(zip(OWN, own, strict=True))}
        self.weights = {name: np.array(array, dtype) for name, array in arrays.items()}

    @property
    def parameters(self) -> Parameters:
        """The recurrent layer's weights as they are now, in float64."""
        arrays = {name: array for name, array in self.weights.items() if name not in OWN}
        return Parameters.from_arrays(arrays).astype("float64")

    @property
    def embedding(self) -> Array:
        """(V, I) as it is now, in float64."""
        return self.weights["embedding"].astype(np.float64)

    def update(self, weights: Mapping[str, Array]) -> None:
        """Take new weights, of the same names and shapes."""
        self.weights = {name: np.asarray(weights[name], self.dtype) for name in self.weights}
        native = {
            name: self.backend.to_native(array, self.dtype)
            for name, array in self.weights.items()
            if name not in OWN
        }
        self.layer.update(native)

    def loss(self, tokens: Array) -> float:
        """Of predicting tokens[1:] from tokens[:-1], nats per character; tokens (T + 1, B)."""
        inputs = self.weights["embedding"][tokens[:-1]]
        output = self.layer.forward(self.backend.to_native(inputs, self.dtype), training=False).output
        value, _ = self._cross_entropy(self.backend.to_numpy(output), tokens[1:])
        return value

    def loss_and_gradients(self, tokens: Array) -> Loss:
        """The loss, and its gradient by every weight; tokens (T + 1, B)."""
        inputs = self.weights["embedding"][tokens[:-1]]
        forward = self.layer.forward(self.backend.to_native(inputs, self.dtype), training=True)
        output = self.backend.to_numpy(forward.output)
        value, grad_logits = self._cross_entropy(output, tokens[1:])
        grad_output = grad_logits @ self.weights["readout_weight"]
        found = self.layer.backward(forward.tape, self.backend.to_native(grad_output, self.dtype))
        gradients = {name: self.backend.to_numpy(array) for name, array in found.parameters.items()}
        grad_embedding = np.zeros_like(self.weights["embedding"])
        np.add.at(grad_embedding, tokens[:-1], self.backend.to_numpy(found.inputs))
        gradients["embedding"] = grad_embedding
        gradients["readout_weight"] = np.tensordot(grad_logits, output, axes=((0, 1), (0, 1)))
        gradients["readout_bias"] = grad_logits.sum(axis=(0, 1))
        return Loss(value, {name: gradients[name] for name in self.weights})

    def _cross_entropy(self, output: Array, targets: Array) -> tuple[float, Array]:
        """Mean loss over all characters, and its gradient by the logits (T, B, V)."""
        logits = output @ self.weights["readout_weight"].T + self.weights["readout_bias"]
        logits -= logits.max(axis=2, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=2, keepdims=True))
        log_probability = logits - log_sum
        chosen = np.take_along_axis(log_probability, targets[..., None], axis=2)
        gradient = np.exp(log_probability)
        np.put_along_axis(gradient, targets[..., None], np.exp(chosen) - 1.0, axis=2)
        return -float(chosen.mean(dtype=np.float64)), gradient / targets.size
