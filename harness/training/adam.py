"""Adam on named NumPy arrays: the optimiser of a training loop that knows no framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Adam:
    """θ ← θ − η·m̂/(√v̂ + ε), m̂ and v̂ the bias-corrected running means of g and g².

    Args:
        learning_rate: η > 0.
        beta1, beta2: how much of the running means is kept at each step, in [0, 1).
        epsilon: ε > 0.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    Raises:
        ValueError: a setting outside its range.
    """

    def __init__(
        self, learning_rate: float, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        for name, value in (("learning_rate", learning_rate), ("epsilon", epsilon)):
            if not value > 0.0:
                raise ValueError(f"{name} must be > 0, got {value}")
        for name, value in (("beta1", beta1), ("beta2", beta2)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        self.learning_rate, self.beta1, self.beta2, self.epsilon = learning_rate, beta1, beta2, epsilon
        self.steps = 0
        self._first: dict[str, Array] = {}
        self._second: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]:
        """New weights, name -> array; what is given stays as it is.

        Raises:
            ValueError: the gradients' names are not the weights'.
        """
        if set(weights) != set(gradients):
            raise ValueError(f"gradients must be of {', '.join(weights)}, got {', '.join(gradients)}")
        self.steps += 1
        return {name: weight - self._change(name, gradients[name]) for name, weight in weights.items()}

    def _change(self, name: str, gradient: Array) -> Array:
        zeros = np.zeros_like(gradient)
        first = self.beta1 * self._first.get(name, zeros) + (1.0 - self.beta1) * gradient
        second = self.beta2 * self._second.get(name, zeros) + (1.0 - self.beta2) * gradient**2
        self._first[name], self._second[name] = first, second
        mean = first / (1.0 - self.beta1**self.steps)
        spread = np.sqrt(second / (1.0 - self.beta2**self.steps)) + self.epsilon
        return self.learning_rate * mean / spread
