"""The arrays of one pass, and the calls of its kernels.

Each object belongs to one `forward` or one `backward`; its `__call__` is what threads run for the samples
and steps that are theirs (see `passes`), writing to places that no other thread writes to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property, partial

import numpy as np

from implementations.backends.numba_cpu.kernels import Kernels
from implementations.backends.numba_cpu.passes import WINDOW, Span, block_of
from implementations.backends.numba_cpu.products import COLLECT, RECALL, STEP
from implementations.backends.numba_cpu.recall import STAGED_ROOMS, Recalled
from implementations.backends.numba_cpu.stages import ROOMS
from implementations.backends.numba_cpu.threads import scratch
from implementations.contract import PARAMETER_NAMES, Array

Sums = tuple[Array, Array, Array]
"""The gradients of weight_ih and weight_hh; flat, of the biases as a kernel counts them, and of extras."""


class Packed:
    """One set of parameters, as the kernels read them; made when first needed."""

    def __init__(self, kernels: Kernels, parameters: Mapping[str, Array]) -> None:
        self._module = kernels.module
        self._parameters = parameters
        self.rows, self.width = parameters["weight_ih"].shape
        self.size = parameters["weight_hh"].shape[1]
        self._extras = {n: a.shape for n, a in parameters.items() if n not in PARAMETER_NAMES}
        self.extras_size = sum(map(math.prod, self._extras.values()))
        """Elements of all extras of the cell."""

    @cached_property
    def forward(self) -> tuple[tuple[Array, ...], Array]:
        return self._module.pack_forward(self._parameters)

    @cached_property
    def backward(self) -> tuple[Array, ...]:
        return self._module.pack_backward(self._parameters)

    def unflatten(self, flat: Array) -> dict[str, Array]:
        """Name -> extra, of all of them one behind the other."""
        found, at = {}, 0
        for name, shape in self._extras.items():
            found[name] = flat[at : at + math.prod(shape)].reshape(shape)
            at += math.prod(shape)
        return found


class _Ring:
    """Room for the columns of a few windows, where threads prepare some while others use others."""

    def __init__(self, window: int, wanted: bool, batch_size: int, columns: int, dtype: np.dtype) -> None:
        self._window = window
        steps = window if wanted else 0
        size = ROOMS * steps * batch_size * columns
        self._rooms = scratch("ring", size, dtype)[:size].reshape(ROOMS, steps, batch_size, columns)

    def at(self, step: int) -> tuple[Array, int]:
        """The room for this step, and the step that its first line is for."""
        window = step // self._window
        return self._rooms[window % ROOMS], window * self._window


class ForwardWork:
    """Output (in `h`, from its second step on), final state and, in training, what a backward needs.

    Args:
        segment: keep nothing beyond h and, every so many steps, an LSTM's c: the rest is to be recalled.
            None: keep all of it.
    """

    def __init__(
        self,
        kernels: Kernels,
        packed: Packed,
        inputs: Array,
        initial: tuple[Array, ...] | None,
        lengths: Array | None,
        *,
        training: bool,
        segment: int | None,
        staged: bool,
    ) -> None:
        seq_len, batch_size, _ = inputs.shape
        dtype, size = inputs.dtype, packed.size
        self._kernels, self._dtype, self._size, self._inputs = kernels, dtype, size, inputs
        self._weights, self._bias = packed.forward
        self.bias_size = self._bias.size
        """Of the biases' gradient as the kernel counts it."""
        self.segment = segment
        whole = seq_len if training and segment is None else 0
        self.every = 1 if whole else segment if training and segment else seq_len
        places = -(-seq_len // self.every) if kernels.memory == "state" else whole
        columns = kernels.gates * size
        self.h = np.empty((seq_len + 1, batch_size, size), dtype)
        remembered = kernels.remembered * size
        self.memory = np.empty((kernels.memory_steps(places), batch_size, remembered), dtype)
        self.gates = np.empty((whole, batch_size, columns), dtype)
        self._ring = _Ring(WINDOW, staged and not whole, batch_size, columns, dtype)
        self.lengths = np.full(batch_size, seq_len) if lengths is None else lengths
        self.final = np.empty((kernels.states, batch_size, size), dtype)
        self.h[0] = 0 if initial is None else initial[0]
        if kernels.memory == "state":
            self.memory[0] = 0
            for n, state in enumerate(() if initial is None else initial[1:]):
                self.memory[0, :, n * size : (n + 1) * size] = state

    def at(self, step: int) -> tuple[Array, Array, int]:
        """Kept `memory` and `gates`, and the step they begin with."""
        return self.memory, self.gates, 0

    def __call__(self, worker: int, stages: int, samples: Span, steps: Span) -> None:
        block = block_of(samples, steps)
        room = (block * self._kernels.gates + 1) * (samples[1] - samples[0]) * self._size
        gates, origin = (self.gates, 0) if self.gates.size else self._ring.at(steps[0])
        self._kernels.module.forward(
            self._kernels.variant, stages, self._inputs, self._weights, self._bias,
            self.h, self.memory, self.every, gates, origin, self.final, self.lengths,
            *samples, *steps, block, scratch("forward", room, self._dtype),
        )  # fmt: skip


class BackwardWork:
    """All gradients; each worker sums those of the parameters on its own, and `total` adds them up.

    `window` is the number of steps to be called for at once.
    """

    def __init__(
        self,
        kernels: Kernels,
        packed: Packed,
        kept: ForwardWork,
        inputs: Array,
        previous: Array,
        grad_output: Array | None,
        grad_final: tuple[Array, ...] | None,
        *,
        staged: bool,
    ) -> None:
        seq_len, batch_size, _ = inputs.shape
        dtype, size = inputs.dtype, packed.size
        self._kernels, self._dtype, self._packed, self._kept = kernels, dtype, packed, kept
        self._inputs, self._previous = inputs, previous
        self.window = kept.segment or (WINDOW if staged else seq_len)
        self._recalled: Recalled | None = None
        self.recalls = 0
        """Recalled windows that there is room for; 0 where all was kept."""
        if kept.segment is not None:
            self.recalls = STAGED_ROOMS if staged else 1
            self._recalled = Recalled(kernels, packed, kept, inputs, rooms=self.recalls)
        self._given = np.empty((0, 0, 0), dtype) if grad_output is None else grad_output
        self._final = np.zeros((kernels.states, batch_size, size), dtype)
        if grad_final is not None:
            for index, array in enumerate(grad_final):
                self._final[index] = array
        self._ring = _Ring(self.window, staged, batch_size, kernels.grads * size, dtype)
        self._zeros = np.zeros(max(packed.width, size), dtype)
        self._sums: dict[int, Sums] = {}
        nothing = np.empty((0, 0), dtype)
        self._no_sums = nothing, nothing, nothing[0:0].ravel()
        self._shapes = (packed.rows, packed.width), (packed.rows, size)
        self.inputs = np.empty(inputs.shape, dtype)
        self.initial = np.empty((kernels.states, batch_size, size), dtype)

    def __call__(self, worker: int, stages: int, samples: Span, steps: Span) -> None:
        if self._recalled is not None and stages & RECALL:
            self._recalled(samples, steps)
        if not stages & (STEP | COLLECT):
            return
        module, kept, block = self._kernels.module, self._kept, block_of(samples, steps)
        memory, gates, since = (self._recalled or kept).at(steps[0])
        room = (block * self._kernels.grads + 1) * (samples[1] - samples[0]) * self._packed.size
        grad_gates, origin = self._ring.at(steps[0])
        keep = int(worker in self._sums)
        sums = self._sums_of(worker) if stages & COLLECT else self._no_sums
        module.backward(
            self._kernels.variant, stages, self._inputs, self._previous, self._packed.backward,
            kept.h, memory, gates, since, grad_gates, origin, self._given, self._final,
            kept.lengths, *samples, *steps, block, keep,
            self.inputs, self.initial, *sums, scratch("backward", room, self._dtype), self._zeros,
        )  # fmt: skip

    def _sums_of(self, worker: int) -> Sums:
        """This worker's sums; with any content when it first asks."""
        if worker not in self._sums:
            (weight_ih, weight_hh), bias = self._shapes, self._kept.bias_size + self._packed.extras_size
            empty = partial(np.empty, dtype=self._dtype)
            self._sums[worker] = empty(weight_ih), empty(weight_hh), empty(bias)
        return self._sums[worker]

    def total(self) -> dict[str, Array]:
        """Name -> gradient of each parameter, the workers' sums added in their order."""
        first, *others = (self._sums[worker] for worker in sorted(self._sums))
        for sums in others:
            for total, part in zip(first, sums, strict=True):
                total += part
        weight_ih, weight_hh, rest = first
        bias_ih, bias_hh = self._kernels.module.split_bias(rest[: self._kept.bias_size])
        own = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
        return own | self._packed.unflatten(rest[self._kept.bias_size :])
