"""One hand-written cell behind the contract: one product for all inputs, the loop, and autograd's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from implementations.checks import ArgumentChecks, Tape, check_bind, check_tape, check_update
from implementations.contract import Array, Forward, Gradients, Layer, Parameters

if TYPE_CHECKING:
    from implementations.backends.torch_stepwise.backend import StepwiseBackend

State = tuple[Tensor, ...]


class StepwiseTape(Tape):
    """The graph of one forward, held by its ends: leaves (inputs, states, parameters) and roots."""

    def __init__(
        self,
        layer: Layer,
        inputs: Tensor,
        initial_state: State,
        parameters: dict[str, Tensor],
        output: Tensor,
        final_state: State,
    ) -> None:
        super().__init__(layer, *inputs.shape[:2])
        self.leaves = [inputs, *initial_state, *parameters.values()]
        self.output = output
        self.final_state = final_state


class StepwiseLayer(Layer):
    """A cell's step, repeated by the loop that its backend made of it."""

    parameters: Mapping[str, Tensor]
    backend: StepwiseBackend

    def __init__(self, backend: StepwiseBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._checks = ArgumentChecks(self.cell, parameters.input_size, parameters.hidden_size)
        self._format = backend.formats[dtype]
        self._loop = backend.loop(cell)
        self.parameters = self._natively(parameters)

    def update(self, parameters: Mapping[str, Tensor] | Parameters) -> None:
        """New values in tensors of their own: a tape made before keeps the old ones, and stays valid."""
        given = self._natively(parameters) if isinstance(parameters, Parameters) else parameters
        check_update(
            {name: tuple(tensor.shape) for name, tensor in self.parameters.items()},
            {name: tuple(tensor.shape) for name, tensor in given.items()},
        )
        self.parameters = {name: self._cast(given[name]).detach().clone() for name in self.parameters}

    def forward(
        self,
        inputs: Tensor,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        _, batch_size, stops = self._checks.forward(inputs, initial_state, lengths)
        inputs = self._as_leaf(inputs, training)
        state = tuple(self._as_leaf(s, training) for s in self._or_zeros(initial_state, batch_size))
        held = {name: self._as_leaf(tensor, training) for name, tensor in self.parameters.items()}
        with torch.set_grad_enabled(training):
            output, final = self._run(held, inputs, state, stops)
        tape = StepwiseTape(self, inputs, state, held, output, final) if training else None
        return Forward(output.detach(), tuple(s.detach() for s in final), tape)

    def backward(
        self, tape: Any, grad_output: Tensor | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        roots: list[Tensor] = []
        arriving: list[Tensor] = []
        if grad_final_state is not None:
            roots += tape.final_state
            arriving += [self._cast(tensor) for tensor in grad_final_state]
        if grad_output is not None or not roots:
            roots.append(tape.output)
            arriving.append(torch.zeros_like(tape.output) if grad_output is None else self._cast(grad_output))
        found = torch.autograd.grad(roots, tape.leaves, arriving, materialize_grads=True)
        first_parameter = 1 + len(tape.final_state)
        return Gradients(
            found[0],
            found[1:first_parameter],
            dict(zip(self.parameters, found[first_parameter:], strict=True)),
        )

    def _run(
        self, held: dict[str, Tensor], inputs: Tensor, state: State, lengths: Array | None
    ) -> tuple[Tensor, State]:
        present = None
        if lengths is not None:
            steps = torch.arange(inputs.shape[0])[:, None, None]
            present = steps < torch.from_numpy(lengths)[None, :, None]
            # what stands in the padding must reach nothing: in the backward, 0 · NaN would
            inputs = torch.where(present, inputs, torch.zeros((), dtype=self._format))
        x = linear(inputs, held["weight_ih"], held["bias_ih"])
        output, final = self._loop(x, list(state), held["weight_hh"], held["bias_hh"], present)
        if present is not None:
            output = torch.where(present, output, torch.zeros((), dtype=self._format))
        return output, tuple(final)

    def _natively(self, parameters: Parameters) -> dict[str, Tensor]:
        return {
            name: self.backend.to_native(array, self.dtype) for name, array in parameters.arrays().items()
        }

    def _or_zeros(self, state: State | None, batch_size: int) -> State:
        if state is not None:
            return tuple(self._cast(tensor).contiguous() for tensor in state)
        shape = (batch_size, self._checks.hidden_size)
        return tuple(torch.zeros(shape, dtype=self._format) for _ in self.cell.state_names)

    def _as_leaf(self, tensor: Tensor, training: bool) -> Tensor:
        """A leaf of a new graph that shares the values and never touches the tensor given."""
        return self._cast(tensor).detach().requires_grad_(training)

    def _cast(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"{self.backend.name} takes torch tensors (use to_native), got {type(tensor).__name__}"
            )
        return tensor.to(self._format)
