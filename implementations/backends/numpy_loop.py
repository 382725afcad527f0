"""Backend `numpy`: a time loop over the cells' own equations.

It adds nothing to what a cell says of one step, and so it is the reference that every other backend is
held against (in float64), and the first to run a new cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from implementations.cells.arithmetic import quiet
from implementations.checks import (
    ArgumentChecks,
    Tape,
    check_bind,
    check_dtype,
    check_num_threads,
    check_tape,
    check_update,
)
from implementations.contract import (
    Array,
    Backend,
    Forward,
    Gradients,
    Layer,
    Parameters,
    State,
    StepGradients,
)
from implementations.registry import BACKENDS, CELLS


class NumpyTape(Tape):
    """Inputs and every state: a step's backward recomputes the rest.

    Args:
        states: T+1 tuples of (B, H); the first is the initial state.
        rows: for each step the samples that take it, or None where all do.
    """

    def __init__(
        self,
        layer: Layer,
        parameters: Parameters,
        inputs: Array,
        states: list[tuple[Array, ...]],
        rows: list[Array | None],
    ) -> None:
        super().__init__(layer, *inputs.shape[:2])
        self.parameters = parameters
        self.inputs = inputs
        self.states = states
        self.rows = rows


class NumpyLayer(Layer):
    """A cell's step, repeated."""

    parameters: Mapping[str, Array]

    def __init__(self, backend: NumpyBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._bound = parameters.astype(dtype)
        self.parameters = self._bound.arrays()
        self._checks = ArgumentChecks(self.cell, parameters.input_size, parameters.hidden_size)

    def update(self, parameters: Mapping[str, Array] | Parameters) -> None:
        arrays = parameters.arrays() if isinstance(parameters, Parameters) else parameters
        check_update(
            {name: array.shape for name, array in self.parameters.items()},
            {name: np.shape(array) for name, array in arrays.items()},
        )
        self._bound = Parameters.from_arrays({k: np.array(v, self.dtype) for k, v in arrays.items()})
        self.parameters = self._bound.arrays()

    @quiet
    def forward(
        self,
        inputs: Array,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, lengths = self._checks.forward(inputs, initial_state, lengths)
        inputs = np.asarray(inputs, self.dtype)
        state = self._state(initial_state, batch_size)
        rows = [None if lengths is None else np.flatnonzero(t < lengths) for t in range(seq_len)]
        output = np.zeros((seq_len, batch_size, self._checks.hidden_size), self.dtype)
        states = [state]
        for t in range(seq_len):
            stepped = self.cell.step(self._bound, _take(inputs[t], rows[t]), _take_all(state, rows[t]))
            state = _put_all(state, rows[t], stepped)
            output[t, _every(rows[t])] = stepped[0]
            if training:
                states.append(state)
        tape = NumpyTape(self, self._bound, inputs, states, rows) if training else None
        return Forward(output, tuple(array.copy() for array in state), tape)

    @quiet
    def backward(
        self, tape: Any, grad_output: Array | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        if grad_output is not None:
            grad_output = np.asarray(grad_output, self.dtype)
        grad_state = self._state(grad_final_state, tape.batch_size)
        grad_inputs = np.zeros(tape.inputs.shape, self.dtype)
        total = {name: np.zeros_like(array) for name, array in self.parameters.items()}
        for t in reversed(range(tape.seq_len)):
            rows = tape.rows[t]
            step = self._step_backward(tape, t, grad_output, grad_state)
            grad_inputs[t, _every(rows)] = step.x
            grad_state = _put_all(grad_state, rows, step.state)
            for name, gradient in step.parameters.items():
                total[name] += gradient
        return Gradients(grad_inputs, grad_state, total)

    def _step_backward(
        self, tape: NumpyTape, t: int, grad_output: Array | None, grad_state: tuple[Array, ...]
    ) -> StepGradients:
        rows = tape.rows[t]
        grad_h, *others = _take_all(grad_state, rows)
        if grad_output is not None:
            grad_h = grad_h + _take(grad_output[t], rows)
        return self.cell.step_backward(
            tape.parameters, _take(tape.inputs[t], rows), _take_all(tape.states[t], rows), (grad_h, *others)
        )

    def _state(self, state: State | None, batch_size: int) -> tuple[Array, ...]:
        """A state, or its gradient, in this layer's dtype; zeros where None."""
        if state is None:
            shape = (batch_size, self._checks.hidden_size)
            return tuple(np.zeros(shape, self.dtype) for _ in self.cell.state_names)
        return tuple(np.asarray(array, self.dtype) for array in state)


def _every(rows: Array | None) -> Any:
    return slice(None) if rows is None else rows


def _take(array: Array, rows: Array | None) -> Array:
    return array if rows is None else array[rows]


def _take_all(state: tuple[Array, ...], rows: Array | None) -> tuple[Array, ...]:
    return tuple(_take(array, rows) for array in state)


def _put_all(old: tuple[Array, ...], rows: Array | None, new: tuple[Array, ...]) -> tuple[Array, ...]:
    """`new` in the rows given, `old` elsewhere: samples that have ended keep what they had."""
    if rows is None:
        return new
    merged = tuple(array.copy() for array in old)
    for array, fresh in zip(merged, new, strict=True):
        array[rows] = fresh
    return merged


class NumpyBackend(Backend):
    name: ClassVar[str] = "numpy"
    namespace: ClassVar[Any] = np

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> NumpyLayer:
        return NumpyLayer(self, cell, parameters, dtype)

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
        if check_dtype(dtype) not in ("float64", "float32"):
            return f"no {dtype} arithmetic in NumPy: float64 and float32 alone"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> Array:
        if dtype is None:
            return np.asarray(array)
        return np.asarray(array, "float64" if dtype == "float64" else "float32")

    def to_numpy(self, native: Array) -> Array:
        return np.asarray(native)

    @property
    def num_threads(self) -> int:
        """Threads of the widest BLAS pool; 1 where NumPy has no threaded BLAS."""
        from threadpoolctl import threadpool_info

        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return max(pools, default=1)

    def set_num_threads(self, n: int) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=check_num_threads(n), user_api="blas")

    def describe(self) -> dict[str, str]:
        from threadpoolctl import threadpool_info

        blas = {
            f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'any')})"
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        }
        return {"numpy": np.__version__, "blas": ", ".join(sorted(blas)) or "none found"}


@BACKENDS.register("numpy")
def load() -> Backend:
    """A time loop over the cells' own equations in NumPy; in float64, the reference."""
    return NumpyBackend()
