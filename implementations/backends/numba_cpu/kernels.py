"""Which kernels compute which cell: the one table.

A kernel module provides

* `forward`, `backward`: kernels that take samples first…last−1 of a batch through all steps;
* `recall`: a kernel that computes `gates` and `memory` of some steps again, from `h` and an LSTM's c before
  them: no step waits for the one before, so the products of many steps are one;
* `pack_forward`, `pack_backward`: parameters -> packed weights (and the bias) as these want them;
* `split_bias`: the bias gradient that `backward` sums -> those of bias_ih and bias_hh;
* `GATES`: what a step keeps for the backward, `GRADS`: what it hands to the collection of gradients, both
  in hidden sizes per sample.

Arguments of the kernels (T, B, I, H as everywhere; S states; all arrays contiguous):

=======================  ==========================================================================
`variant`                which φ, and where (the simple RNNs); 0 elsewhere
`stages`                 which of PROJECT, STEP, COLLECT to do (see `products`)
`inputs`                 (T, B, I)
`weights`, `bias`        what `pack_forward` or `pack_backward` made
`h`                      (T+1, B, H): h_0 is given, `forward` writes the rest, the output
`memory`                 a second kept state: an LSTM's c (…, B, H), c_0 given; φ(h) (…, B, H) of a
                         pre-activation RNN; empty where none is kept
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
`zeros`                  max(I, H) zeros
=======================  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from implementations.backends.numba_cpu import gru, gru_reset_before, lstm, rnn


@dataclass(frozen=True)
class Kernels:
    """A cell's kernels.

    Args:
        module: see above.
        variant: passed to both kernels.
        memory: "" (none), "state" (kept from the initial state on) or "operand" (kept step by step, and
            what W_hh multiplies).
    """

    module: ModuleType
    variant: int = 0
    memory: str = ""

    @property
    def states(self) -> int:
        """S."""
        return 2 if self.memory == "state" else 1

    @property
    def recalls(self) -> bool:
        """Whether a backward reads anything but h."""
        return self.module.GATES > 0 or self.memory != ""

    def memory_steps(self, seq_len: int) -> int:
        """Length of `memory` where all of it is kept."""
        return {"": 0, "operand": seq_len, "state": seq_len + 1}[self.memory]


KERNELS = {
    "rnn_tanh": Kernels(rnn, rnn.TANH),
    "rnn_relu": Kernels(rnn, rnn.RELU),
    "rnn_linear": Kernels(rnn, rnn.LINEAR),
    "rnn_tanh_preactivation": Kernels(rnn, rnn.TANH + rnn.BEFORE_PRODUCT, "operand"),
    "rnn_relu_preactivation": Kernels(rnn, rnn.RELU + rnn.BEFORE_PRODUCT, "operand"),
    "lstm": Kernels(lstm, memory="state"),
    "gru": Kernels(gru),
    "gru_reset_before": Kernels(gru_reset_before),
}
