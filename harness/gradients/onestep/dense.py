"""A step of any cell through its own derivatives, in NumPy: for cells without a structured form."""

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

    def combine(self, slopes: tuple[Native, ...]) -> tuple[Native, ...]:
        inputs, *states = slopes
        jacobians = [
            self.cell.step_jacobian(self._parameters, inputs[i], tuple(state[i] for state in states))
            for i in range(len(inputs))
        ]
        return (np.stack(jacobians),)

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        product = np.concatenate(columns, axis=-1) @ factors[0][i]
        found = tuple(np.split(product, len(columns), axis=-1))
        for place, part in zip(out, found, strict=False):
            place[...] = part
        return tuple(out) or found

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return factors[0][i]

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """Inputs and states themselves: the cell derives the rest."""
        return inputs, *states

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        """What was reached are the rows: the cell goes on from there to its parameters."""
        batch_size, count, _ = rows[0].shape
        x, *state = (np.repeat(array, count, axis=0) for array in slopes)
        flat = tuple(array.reshape(batch_size * count, -1) for array in rows)
        found = self.cell.step_backward(self._parameters, x, tuple(state), flat)
        return tuple(array.reshape(batch_size, count, -1) for array in found.state), tuple(rows)

    def parameter_gradients(
        self,
        reached: tuple[Native, ...],
        slopes: tuple[Native, ...],
        x: Native,
        state: tuple[Native, ...],
    ) -> dict[str, Native]:
        rows = tuple(array.sum(1) for array in reached)
        return dict(self.cell.step_backward(self._parameters, x, state, rows).parameters)

    def past_gates(self, rows: Sequence[Native], slopes: tuple[Native, ...]) -> Native:
        """Of a cell with direct gates: what reaches h where its pre-activations are given as inputs."""
        batch_size, count, size = rows[0].shape
        own, (x, *state) = self._parameters, slopes
        reading = own.arrays() | {
            "weight_ih": np.eye(len(own.bias_ih), dtype=own.bias_ih.dtype),
            "weight_hh": np.zeros_like(own.weight_hh),
            "bias_ih": np.zeros_like(own.bias_ih),
            "bias_hh": np.zeros_like(own.bias_hh),
        }
        a = x @ own.weight_ih.T + own.bias_ih + self.hidden_products(state[0])
        a, *state = (np.repeat(array, count, axis=0) for array in (a, *state))
        flat = tuple(array.reshape(batch_size * count, -1) for array in rows)
        found = self.cell.step_backward(Parameters.from_arrays(reading), a, tuple(state), flat)
        return found.state[0].reshape(batch_size, count, size)

    def from_gates(
        self, delta: Native, slopes: tuple[Native, ...], x: Native, state: tuple[Native, ...]
    ) -> dict[str, Native]:
        """Of a cell with direct gates."""
        return super().parameter_gradients((delta, delta), slopes, x, state)
