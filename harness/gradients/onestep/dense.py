"""A step of any cell through its own `step_jacobian`, in NumPy: for cells without a structured form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.gradients.namespace import Space
from harness.gradients.onestep.step import Native, OneStep
from implementations.contract import Cell, Parameters


class DenseStep(OneStep):
    """J as the cell computes it, (B, S, S)."""

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        super().__init__(cell, parameters, space)
        self._parameters = parameters

    @property
    def matrices_per_step(self) -> int:
        return len(self.cell.state_names) ** 2

    def input_products(self, inputs: Native) -> Native:
        """The inputs themselves: only the cell knows what it makes of them."""
        return inputs

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        return self.cell.step(self._parameters, a_x, state)

    def factors(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        return (
            np.stack(
                [
                    self.cell.step_jacobian(self._parameters, inputs[i], tuple(state[i] for state in states))
                    for i in range(len(inputs))
                ]
            ),
        )

    def apply(self, columns: Sequence[Native], factors: tuple[Native, ...], i: int) -> tuple[Native, ...]:
        product = np.concatenate(columns, axis=-1) @ factors[0][i]
        return tuple(np.split(product, len(columns), axis=-1))

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return factors[0][i]
