"""One drawn step of one cell, and its results by name."""

from __future__ import annotations

import numpy as np

from implementations import Cell, Parameters, StepGradients
from implementations.contract import Array

BATCH, INPUT, HIDDEN = 4, 3, 5


class Step:
    """One step of one cell: parameters, x (B, I), state and the gradient that arrives, of (B, H) each."""

    def __init__(self, cell: Cell, dtype: str = "float64", batch_size: int = BATCH) -> None:
        rng = np.random.default_rng(7)
        shapes = cell.parameter_shapes(INPUT, HIDDEN)
        self.cell = cell
        self.parameters = Parameters.from_arrays(
            {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}
        ).astype(dtype)
        self.x = rng.standard_normal((batch_size, INPUT)).astype(dtype)
        state = (batch_size, HIDDEN)
        self.state = tuple(rng.standard_normal(state).astype(dtype) for _ in cell.state_names)
        self.grad = tuple(rng.standard_normal(state).astype(dtype) for _ in cell.state_names)

    def forward(self) -> tuple[Array, ...]:
        return self.cell.step(self.parameters, self.x, self.state)

    def backward(self) -> StepGradients:
        return self.cell.step_backward(self.parameters, self.x, self.state, self.grad)

    def jacobian(self) -> Array:
        return self.cell.step_jacobian(self.parameters, self.x, self.state)

    def loss(self) -> float:
        return float(sum((a * g).sum() for a, g in zip(self.forward(), self.grad, strict=True)))


def named(step: Step, gradients: StepGradients) -> dict[str, tuple[Array, Array]]:
    """name -> (what was differentiated by, its gradient)."""
    found = {"x": (step.x, gradients.x)}
    for name, value, gradient in zip(step.cell.state_names, step.state, gradients.state, strict=True):
        found[name] = value, gradient
    for name, value in step.parameters.arrays().items():
        found[name] = value, gradients.parameters[name]
    return found
