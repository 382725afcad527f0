"""The time loop of backend `naive`: each sample on its own, forward through its steps and back again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.backends.naive import gru, gru_reset_before, lstm, rnn
from implementations.backends.naive.algebra import Matrix, State, Vector, Weights, rounded
from implementations.checks import (
    ArgumentChecks,
    Tape,
    check_bind,
    check_tape,
    check_update,
)
from implementations.contract import Forward, Gradients, Layer, Parameters

if TYPE_CHECKING:
    from implementations.backends.naive import NaiveBackend

EQUATIONS = {**rnn.EQUATIONS, **lstm.EQUATIONS, **gru.EQUATIONS, **gru_reset_before.EQUATIONS}
"""Cell name -> its step and its chain rule."""


class NaiveTape(Tape):
    """For each sample, for each of its steps: (x, state before the step, what the step kept)."""

    def __init__(
        self, layer: Layer, seq_len: int, weights: Weights, steps: list[list[tuple[Vector, State, Any]]]
    ) -> None:
        super().__init__(layer, seq_len, len(steps))
        self.weights = weights
        self.steps = steps


class NaiveLayer(Layer):
    """One cell's equations, looped over samples and steps."""

    parameters: Mapping[str, Any]

    def __init__(self, backend: NaiveBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self.equations = EQUATIONS[cell]
        self._checks = ArgumentChecks(
            self.cell, parameters.input_size, parameters.hidden_size, shape_of=shape
        )
        self._expected = {name: array.shape for name, array in parameters.arrays().items()}
        self.update(parameters)

    def update(self, parameters: Mapping[str, Any] | Parameters) -> None:
        if isinstance(parameters, Parameters):
            arrays = parameters.arrays().items()
            parameters = {name: self.backend.to_native(array, self.dtype) for name, array in arrays}
        check_update(self._expected, {name: shape(value) for name, value in parameters.items()})
        self.parameters = {name: self._crossed(value) for name, value in parameters.items()}
        self._weights = Weights(**self.parameters)

    def forward(
        self,
        inputs: list[Matrix],
        initial_state: tuple[Matrix, ...] | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, stops = self._checks.forward(inputs, initial_state, lengths)
        zeros = [0.0] * self._checks.hidden_size
        output = [[zeros.copy() for _ in range(batch_size)] for _ in range(seq_len)]
        final, steps = [], []
        for b, state in enumerate(self._samples(initial_state, batch_size)):
            taken = []
            for t in range(seq_len if stops is None else int(stops[b])):
                x = self._crossed(inputs[t][b])
                next_state, kept = self.equations.step(self._weights, x, state)
                if training:
                    taken.append((x, state, kept))
                state = next_state
                output[t][b] = self._crossed(state[0])
            final.append(state)
            steps.append(taken)
        tape = NaiveTape(self, seq_len, self._weights, steps) if training else None
        return Forward(output, self._batch(final), tape)

    def backward(
        self,
        tape: Any,
        grad_output: list[Matrix] | None = None,
        grad_final_state: tuple[Matrix, ...] | None = None,
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        total = tape.weights.zeros()
        zeros = [0.0] * self._checks.input_size
        grad_inputs = [[zeros.copy() for _ in range(tape.batch_size)] for _ in range(tape.seq_len)]
        grad_initial = []
        for b, grad in enumerate(self._samples(grad_final_state, tape.batch_size)):
            for t in reversed(range(len(tape.steps[b]))):
                if grad_output is not None:
                    arriving = self._crossed(grad_output[t][b])
                    grad = ([d + e for d, e in zip(grad[0], arriving, strict=True)], *grad[1:])
                x, state, kept = tape.steps[b][t]
                grad_x, grad = self.equations.back(tape.weights, total, x, state, kept, grad)
                grad_inputs[t][b] = self._crossed(grad_x)
            grad_initial.append(grad)
        gradients = {name: self._crossed(getattr(total, name)) for name in self._expected}
        return Gradients(grad_inputs, self._batch(grad_initial), gradients)

    def _samples(self, state: tuple[Matrix, ...] | None, batch_size: int) -> list[State]:
        """A native state as one state per sample; zeros where None."""
        if state is None:
            size, names = self._checks.hidden_size, self.cell.state_names
            return [tuple([0.0] * size for _ in names) for _ in range(batch_size)]
        return [tuple(self._crossed(rows[b]) for rows in state) for b in range(batch_size)]

    def _batch(self, states: list[State]) -> tuple[Matrix, ...]:
        """One state per sample as a native state."""
        return tuple([self._crossed(row) for row in rows] for rows in zip(*states, strict=True))

    def _crossed(self, value: Any) -> Any:
        """A copy of a vector or matrix as it crosses the border: at this layer's precision."""
        if value and isinstance(value[0], list):
            return [self._crossed(row) for row in value]
        return rounded(value) if self.dtype == "float32" else [float(v) for v in value]


def shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists; a ragged one, or an array of another kind, has its sizes so far and −1."""
    if not isinstance(value, list):
        return np.shape(value)
    inner = {shape(item) for item in value} if value else set()
    return (len(value), *(inner.pop() if len(inner) == 1 else (-1,) if inner else ()))
