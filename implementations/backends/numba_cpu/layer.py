"""A cell bound to parameters: arrays allocated, kernels called, nothing computed here.

Packed weights belong to a set of parameters and are made once.  What a backward needs is kept in the
tape, and nothing in it is shared with a later pass.  The output is part of it, not a copy: whoever changes
an output in place before its backward gets other gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.backends.numba_cpu.kernels import KERNELS
from implementations.backends.numba_cpu.passes import by_samples, segment_of, shares, windows_of
from implementations.backends.numba_cpu.products import COLLECT, PROJECT, RECALL, STEP
from implementations.backends.numba_cpu.stages import backward_by_stages, forward_by_stages
from implementations.backends.numba_cpu.work import BackwardWork, ForwardWork, Packed
from implementations.checks import ArgumentChecks, Tape, check_bind, check_tape, check_update
from implementations.contract import Array, Forward, Gradients, Layer, Parameters, State

if TYPE_CHECKING:
    from implementations.backends.numba_cpu.adapter import NumbaBackend


class NumbaTape(Tape):
    """The forward's arrays; the backward that uses them lets them go."""

    def __init__(
        self, layer: Layer, packed: Packed, work: ForwardWork, inputs: Array, lengths: Array | None
    ) -> None:
        super().__init__(layer, *inputs.shape[:2])
        self.kept: tuple[Packed, ForwardWork, Array] | None = (packed, work, inputs)
        self.lengths = lengths


class NumbaLayer(Layer):
    parameters: Mapping[str, Array]

    def __init__(self, backend: NumbaBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        self.backend: NumbaBackend = backend
        self.cell = check_bind(backend, cell, parameters, dtype)
        self.dtype = dtype
        self._kernels = KERNELS[cell]
        self._recalls = backend.checkpointed and self._kernels.recalls
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
        count, staged = self._shares(seq_len, batch_size)
        segment = segment_of(seq_len, batch_size) if self._recalls else None
        work = ForwardWork(
            self._kernels, self._packed, inputs, initial_state, lengths,
            training=training, segment=segment, staged=staged,
        )  # fmt: skip
        if staged:
            forward_by_stages(work, count, seq_len, batch_size)
        else:
            by_samples(work, PROJECT | STEP, count, batch_size, [(0, seq_len)])
        tape = NumbaTape(self, self._packed, work, inputs, lengths) if training else None
        return Forward(work.h[1:], tuple(work.final), tape)

    def backward(
        self, tape: Any, grad_output: Array | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        (packed, kept, inputs), tape.kept = tape.kept, None
        seq_len, batch_size, _ = inputs.shape
        previous = kept.h[:-1]
        if tape.lengths is not None:
            previous = _until(tape.lengths, previous)
        if grad_output is not None:
            grad_output = self._ready(grad_output)
        count, staged = self._shares(seq_len, batch_size)
        work = BackwardWork(
            self._kernels, packed, kept, inputs, previous, grad_output, grad_final_state, staged=staged
        )
        windows = windows_of(seq_len, work.window)[::-1]
        if staged:
            backward_by_stages(work, count, batch_size, windows, recalls=work.recalls)
        else:
            by_samples(work, RECALL | STEP | COLLECT, count, batch_size, windows)
        if tape.lengths is not None:
            np.copyto(work.inputs, 0, where=~_running(tape.lengths, seq_len))
        return Gradients(work.inputs, tuple(work.initial), work.total())

    def _shares(self, seq_len: int, batch_size: int) -> tuple[int, bool]:
        packed = self._packed
        multiply_adds = seq_len * batch_size * packed.rows * (packed.size + packed.width)
        return shares(self.backend.num_threads, seq_len, batch_size, multiply_adds)

    def _ready(self, array: Array) -> Array:
        """The same values as the kernels read them: this dtype, contiguous, aligned."""
        return np.require(array, self.dtype, ["C", "A", "W"])


def _until(lengths: Array, array: Array) -> Array:
    """A copy (T, B, …) that is zero where samples have ended, whatever stood there."""
    return np.where(_running(lengths, array.shape[0]), array, array.dtype.type(0))


def _running(lengths: Array, seq_len: int) -> Array:
    """(T, B, 1): whether a sample has not ended before this step."""
    return (np.arange(seq_len)[:, None] < lengths)[:, :, None]
