"""A cell bound to parameters: arrays allocated, kernels called, nothing computed here.

Packed weights belong to a set of parameters and are made once.  What a backward needs is kept in the
tape, and nothing in it is shared with a later pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.backends.numba_cpu.kernels import KERNELS, Kernels
from implementations.backends.numba_cpu.threads import POOL, scratch
from implementations.checks import ArgumentChecks, Tape, check_bind, check_tape, check_update
from implementations.contract import Array, Forward, Gradients, Layer, Parameters, State

if TYPE_CHECKING:
    from implementations.backends.numba_cpu.adapter import NumbaBackend

BLOCK_ROWS = 128
"""Rows (steps × samples) of a block: enough for products at full speed, few enough to stay in cache."""
CHUNK_ROWS = 64
"""Samples that a thread takes through time together: their states are to stay in cache, too."""
WORTH_A_THREAD = 2e6
"""Multiply-adds below which waking a thread costs more than it brings."""


class Packed:
    """One set of parameters, as the kernels read them."""

    def __init__(self, kernels: Kernels, parameters: Mapping[str, Array]) -> None:
        self._module = kernels.module
        self._parameters = parameters

    @cached_property
    def forward(self) -> tuple[tuple[Array, ...], Array]:
        return self._module.pack_forward(self._parameters)

    @cached_property
    def backward(self) -> tuple[Array, ...]:
        return self._module.pack_backward(self._parameters)


class NumbaTape(Tape):
    """What `forward` leaves; its arrays are let go by the backward that used them."""

    def __init__(self, layer: Layer, packed: Packed, arrays: dict[str, Array], lengths: Array | None) -> None:
        super().__init__(layer, *arrays["inputs"].shape[:2])
        self.packed = packed
        self.arrays = arrays
        self.lengths = lengths


class NumbaLayer(Layer):
    parameters: Mapping[str, Array]

    def __init__(self, backend: NumbaBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend: NumbaBackend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._kernels = KERNELS[cell]
        self._checks = ArgumentChecks(self.cell, parameters.input_size, parameters.hidden_size)
        self._adopt(parameters.arrays())

    def _adopt(self, arrays: Mapping[str, Array]) -> None:
        self.parameters = {name: np.array(array, self.dtype) for name, array in arrays.items()}
        self._packed = Packed(self._kernels, self.parameters)

    def update(self, parameters: Mapping[str, Array] | Parameters) -> None:
        arrays = parameters.arrays() if isinstance(parameters, Parameters) else parameters
        check_update(
            {name: array.shape for name, array in self.parameters.items()},
            {name: np.shape(array) for name, array in arrays.items()},
        )
        self._adopt(arrays)

    def forward(
        self,
        inputs: Array,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, lengths = self._checks.forward(inputs, initial_state, lengths)
        inputs = self._ready(inputs)
        if lengths is not None and training:
            inputs = _until(lengths, inputs)
        size, states = self._checks.hidden_size, len(self.cell.state_names)
        kernels, packed = self._kernels, self._packed
        h = self._empty(seq_len + 1, batch_size, size)
        final = self._empty(states, batch_size, size)
        gates = self._empty(seq_len if training else 0, batch_size, kernels.module.GATES * size)
        kept = {"": 0, "operand": seq_len, "state": seq_len + 1}[kernels.memory] if training else 0
        memory = self._empty(kept, batch_size, size)
        starts = [h[0], memory[0] if training else final[1]] if states == 2 else [h[0]]
        for index, start in enumerate(starts):
            start[...] = 0 if initial_state is None else initial_state[index]
        weights, bias = packed.forward
        ends = np.full(batch_size, seq_len) if lengths is None else lengths

        def take(index: int, chunks: list[tuple[int, int]]) -> None:
            for first, last in chunks:
                block, workspace = self._workspace(seq_len, last - first)
                kernels.module.forward(
                    kernels.variant, inputs, weights, bias, h, memory, gates, final, ends, first, last,
                    block, workspace,
                )  # fmt: skip

        self._share(seq_len, batch_size, take)
        tape = None
        if training:
            arrays = {"inputs": inputs, "h": h, "memory": memory, "gates": gates, "ends": ends}
            tape = NumbaTape(self, packed, arrays, lengths)
        return Forward(h[1:], tuple(final), tape)

    def backward(
        self, tape: Any, grad_output: Array | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        arrays, tape.arrays = tape.arrays, {}
        kernels, weights = self._kernels, tape.packed.backward
        seq_len, batch_size, width = arrays["inputs"].shape
        size, states = self._checks.hidden_size, len(self.cell.state_names)
        previous = arrays["memory"] if kernels.memory == "operand" else arrays["h"][:-1]
        if tape.lengths is not None:
            previous = _until(tape.lengths, previous)
        given = self._empty(0, 0, 0) if grad_output is None else self._ready(grad_output)
        grad_final = self._empty(states, batch_size, size)
        for index in range(states):
            grad_final[index] = 0 if grad_final_state is None else grad_final_state[index]
        grad_inputs = self._empty(seq_len, batch_size, width)
        grad_initial = self._empty(states, batch_size, size)
        zeros = np.zeros(max(width, size), self.dtype)
        sums: dict[int, tuple[Array, Array, Array]] = {}

        def take(index: int, chunks: list[tuple[int, int]]) -> None:
            rows = self.parameters["weight_hh"].shape[0]
            columns = max(kernels.module.GATES, 1) * size
            sums[index] = self._empty(rows, width), self._empty(rows, size), self._empty(columns)
            for keep, (first, last) in enumerate(chunks):
                block, workspace = self._workspace(seq_len, last - first)
                kernels.module.backward(
                    kernels.variant, arrays["inputs"], previous, weights, arrays["h"], arrays["memory"],
                    arrays["gates"], given, grad_final, arrays["ends"], first, last, block, min(keep, 1),
                    grad_inputs, grad_initial, *sums[index], workspace, zeros,
                )  # fmt: skip

        self._share(seq_len, batch_size, take)
        if tape.lengths is not None:
            grad_inputs = _until(tape.lengths, grad_inputs)
        for index in range(1, len(sums)):
            for total, part in zip(sums[0], sums[index], strict=True):
                total += part
        weight_ih, weight_hh, bias = sums[0]
        bias_ih, bias_hh = kernels.module.split_bias(bias)
        parameters = {
            "weight_ih": weight_ih,
            "weight_hh": weight_hh,
            "bias_ih": bias_ih,
            "bias_hh": bias_hh,
        }
        return Gradients(grad_inputs, tuple(grad_initial), parameters)

    def _share(
        self, seq_len: int, batch_size: int, take: Callable[[int, list[tuple[int, int]]], None]
    ) -> None:
        """Call `take(index, chunks)` for each thread's share of the batch, at once."""
        size, width = self._checks.hidden_size, self._checks.input_size
        work = seq_len * batch_size * self.parameters["weight_hh"].shape[0] * (size + width)
        count = min(self.backend.num_threads, batch_size) if work > WORTH_A_THREAD else 1
        shares = [
            _chunks(index * batch_size // count, (index + 1) * batch_size // count) for index in range(count)
        ]
        POOL.run([partial(take, index, share) for index, share in enumerate(shares)])

    def _workspace(self, seq_len: int, rows: int) -> tuple[int, Array]:
        """Steps of a block, and this thread's scratch space for it."""
        block = min(seq_len, max(1, BLOCK_ROWS // rows))
        return block, scratch(
            block * rows * self._kernels.module.SCRATCH * self._checks.hidden_size, self.dtype
        )

    def _empty(self, *shape: int) -> Array:
        return np.empty(shape, self.dtype)

    def _ready(self, array: Array) -> Array:
        """The same values as the kernels read them: this dtype, contiguous, aligned."""
        return np.require(array, self.dtype, ["C", "A", "W"])


def _chunks(first: int, last: int) -> list[tuple[int, int]]:
    return [(start, min(start + CHUNK_ROWS, last)) for start in range(first, last, CHUNK_ROWS)]


def _until(lengths: Array, array: Array) -> Array:
    """A copy (T, B, …) that is zero where samples have ended, whatever stood there."""
    running = np.arange(array.shape[0])[:, None] < lengths
    return np.where(running[:, :, None], array, array.dtype.type(0))
