"""What a forward did not keep, computed again when its backward comes to it: training in less memory.

Of T steps a forward keeps h, which is the output, and where h does not tell all, an LSTM's c before every
√T-th step.  The backward takes one segment at a time, the last first, and computes its gates again (Chen
et al. 2016, Training deep nets with sublinear memory cost; Gruslys et al. 2016, Memory-efficient
backpropagation through time).  Since every h is known, no step of a segment waits for the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from implementations.backends.numba_cpu.kernels import Kernels
from implementations.backends.numba_cpu.passes import Span, block_of
from implementations.backends.numba_cpu.threads import scratch
from implementations.contract import Array

if TYPE_CHECKING:
    from implementations.backends.numba_cpu.work import ForwardWork, Packed

STAGED_ROOMS = 3
"""Segments at hand where threads divide a pass by stages: recalled, stepped through and collected."""


class Recalled:
    """`memory` and `gates` of the last few segments that were called for.

    Args:
        rooms: how many; threads that take samples through all stages need one.
    """

    def __init__(
        self, kernels: Kernels, packed: Packed, kept: ForwardWork, inputs: Array, *, rooms: int
    ) -> None:
        self._kernels, self._packed, self._kept, self._inputs = kernels, packed, kept, inputs
        batch_size, dtype = inputs.shape[1], inputs.dtype
        columns = kernels.gates * packed.size
        memory_steps, remembered = kernels.memory_steps(kept.every), kernels.remembered * packed.size
        self._memory = np.empty((rooms, memory_steps, batch_size, remembered), dtype)
        self._gates = np.empty((rooms, kept.every, batch_size, columns), dtype)

    def at(self, step: int) -> tuple[Array, Array, int]:
        """The room of this step's segment, and the step that it begins with."""
        segment = step // self._kept.every
        room = segment % len(self._gates)
        return self._memory[room], self._gates[room], segment * self._kept.every

    def __call__(self, samples: Span, steps: Span) -> None:
        """Recall one segment of these samples."""
        module, kept, block = self._kernels.module, self._kept, block_of(samples, steps)
        memory, gates, since = self.at(steps[0])
        if self._kernels.memory == "state":
            own = slice(*samples)
            memory[0, own] = kept.memory[since // kept.every, own]
        room = block * self._kernels.gates * (samples[1] - samples[0]) * self._packed.size
        module.recall(
            self._kernels.variant, self._inputs, *self._packed.forward, kept.h, memory, gates, since,
            kept.lengths, *samples, *steps, block, scratch("forward", room, gates.dtype),
        )  # fmt: skip
