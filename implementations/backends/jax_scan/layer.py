"""One scanned cell behind the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from implementations.backends.jax_scan.passes import infer, keep, pull
from implementations.checks import ArgumentChecks, Tape, check_bind, check_tape, check_update
from implementations.contract import Forward, Gradients, Layer, Parameters

if TYPE_CHECKING:
    from implementations.backends.jax_scan.backend import JaxBackend

State = tuple[jax.Array, ...]


class JaxTape(Tape):
    """What the forward kept: the function that takes gradients back, with its residuals."""

    def __init__(self, layer: Layer, seq_len: int, batch_size: int, back: Any) -> None:
        super().__init__(layer, seq_len, batch_size)
        self.back = back


class JaxLayer(Layer):
    """A cell's scan.  Every call returns when its results are there: JAX would return before."""

    parameters: Mapping[str, jax.Array]
    backend: JaxBackend

    def __init__(self, backend: JaxBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._checks = ArgumentChecks(self.cell, parameters.input_size, parameters.hidden_size)
        self.parameters = self._natively(parameters)

    def update(self, parameters: Mapping[str, jax.Array] | Parameters) -> None:
        given = self._natively(parameters) if isinstance(parameters, Parameters) else parameters
        check_update(
            {name: array.shape for name, array in self.parameters.items()},
            {name: array.shape for name, array in given.items()},
        )
        self.parameters = {name: self._cast(given[name]) for name in self.parameters}

    def forward(
        self,
        inputs: jax.Array,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, stops = self._checks.forward(inputs, initial_state, lengths)
        run = keep if training else infer
        found = run(
            self.cell.name,
            dict(self.parameters),
            self._cast(inputs),
            self._state(initial_state, batch_size),
            None if stops is None else jnp.asarray(stops),
        )
        jax.block_until_ready(found)
        (output, final_state), back = found if training else (found, None)
        tape = JaxTape(self, seq_len, batch_size, back) if training else None
        return Forward(output, final_state, tape)

    def backward(
        self, tape: Any, grad_output: jax.Array | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        if grad_output is None:
            grad_output = jnp.zeros(
                (tape.seq_len, tape.batch_size, self._checks.hidden_size), dtype=self.dtype
            )
        parameters, inputs, initial_state = jax.block_until_ready(
            pull(tape.back, self._cast(grad_output), self._state(grad_final_state, tape.batch_size))
        )
        tape.back = None  # its residuals are the bulk of a training pass's memory
        return Gradients(inputs, initial_state, parameters)

    def _natively(self, parameters: Parameters) -> dict[str, jax.Array]:
        return {
            name: self.backend.to_native(array, self.dtype) for name, array in parameters.arrays().items()
        }

    def _state(self, state: State | None, batch_size: int) -> State:
        """A state, or its gradient, in this layer's dtype; zeros where None."""
        if state is None:
            shape = (batch_size, self._checks.hidden_size)
            return tuple(jnp.zeros(shape, dtype=self.dtype) for _ in self.cell.state_names)
        return tuple(self._cast(array) for array in state)

    def _cast(self, array: jax.Array) -> jax.Array:
        if not isinstance(array, jax.Array):
            raise ValueError(
                f"{self.backend.name} takes JAX arrays (use to_native), got {type(array).__name__}"
            )
        return array if array.dtype == self.dtype else array.astype(self.dtype)
