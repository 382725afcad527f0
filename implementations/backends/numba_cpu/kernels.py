"""Which kernels compute which cell: the one table.

A kernel module provides

* `forward`, `backward`: kernels that take samples first…last−1 of a batch through all steps;
* `recall`: a kernel that computes `gates` and `memory` of some steps again, from `h` and an LSTM's c before
  them: no step waits for the one before, so the products of many steps are one;
* `pack_forward`, `pack_backward`: parameters -> packed weights (and the bias) as these want them;
* `split_bias`: the bias gradient that `backward` sums -> those of bias_ih and bias_hh;
* `GATES`: what a step keeps for the backward, `GRADS`: what it hands to the collection of gradients, both
  in hidden sizes per sample; the most of any cell, where those of one module differ.

Arguments of the kernels (T, B, I, H as everywhere; S states; all arrays contiguous):

=======================  ==========================================================================
`variant`                which φ, and where (the simple RNNs); which parts (the LSTM's variants); else 0
`stages`                 which of PROJECT, STEP, COLLECT to do (see `products`)
`inputs`                 (T, B, I)
`weights`, `bias`        what `pack_forward` or `pack_backward` made
`h`                      (T+1, B, H): h_0 is given, `forward` writes the rest, the output
`memory`                 what is kept beside h: an LSTM's c (…, B, H), c_0 given, and what else is state
                         behind it; φ(h) (…, B, H) of a pre-activation RNN; empty where none is kept
`every`                  `forward` keeps c before every so many steps; it changes in place meanwhile
`gates`                  `forward`: (T, B, GATES·H) to be kept, or room for some steps from step `origin`
                         on, or empty: then the steps of one block live in `workspace`
`since`                  `recall` and `backward`: the step that `memory` and `gates` begin with
`grad_gates`             room for (…, B, GRADS·H) from step `origin` on, or empty: as above
`final`                  (S, B, H), written
`lengths`                (B,): samples end there; output and gradients are zero beyond
`first`, `last`          the samples: first…last−1
`start`, `stop`          the steps: start…stop−1
`block`                  steps whose input product, or share of the weights' gradients, is one product
`workspace`              (block·GATES + 1)·(last−first)·H elements, or GRADS for GATES
`previous`               (T, B, H): h before each step
`grad_output`            (T, B, H), or empty: zeros
`grad_final`             (S, B, H)
`keep`                   0: the parameters' gradients start at zero; 1: they are added to
`grad_initial`           (S, B, H), written: the running gradient of the state
`grad_bias`              the biases' gradient as the kernel counts it, and behind it those of the extras
`zeros`                  max(I, H) zeros
=======================  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from implementations.backends.numba_cpu import gru, gru_reset_before, lstm, lstm_variants, rnn
from implementations.backends.numba_cpu.lstm_parts import variant_of
from implementations.cells.lstm_variants import VARIANTS, Parts


@dataclass(frozen=True)
class Kernels:
    """A cell's kernels.

    Args:
        module: see above.
        gates, grads: the cell's own, in hidden sizes.
        variant: passed to all kernels.
        memory: "" (none), "state" (kept from the initial state on) or "operand" (kept step by step, and
            what W_hh multiplies).
        remembered: hidden sizes of a row of `memory`.
    """

    module: ModuleType
    gates: int
    grads: int
    variant: int = 0
    memory: str = ""
    remembered: int = 1

    @property
    def states(self) -> int:
        """How many states of H there are."""
        return 1 + self.remembered if self.memory == "state" else 1

    @property
    def recalls(self) -> bool:
        """Whether a backward reads anything but h."""
        return self.gates > 0 or self.memory != ""

    def memory_steps(self, seq_len: int) -> int:
        """Length of `memory` where all of it is kept."""
        return {"": 0, "operand": seq_len, "state": seq_len + 1}[self.memory]


def whole(module: ModuleType, variant: int = 0, memory: str = "") -> Kernels:
    """A cell that has all that its module keeps."""
    return Kernels(module, module.GATES, module.GRADS, variant, memory)


def with_parts(parts: Parts) -> Kernels:
    """A variant of the LSTM."""
    gates, remembered = len(parts.gates), 4 if parts.recurrence else 1
    return Kernels(lstm_variants, gates, gates, variant_of(parts), "state", remembered)


KERNELS = {
    "rnn_tanh": whole(rnn, rnn.TANH),
    "rnn_relu": whole(rnn, rnn.RELU),
    "rnn_linear": whole(rnn, rnn.LINEAR),
    "rnn_tanh_preactivation": whole(rnn, rnn.TANH + rnn.BEFORE_PRODUCT, "operand"),
    "rnn_relu_preactivation": whole(rnn, rnn.RELU + rnn.BEFORE_PRODUCT, "operand"),
    "lstm": whole(lstm, memory="state"),
    "gru": whole(gru),
    "gru_reset_before": whole(gru_reset_before),
    **{name: with_parts(parts) for name, parts in VARIANTS.items()},
}
