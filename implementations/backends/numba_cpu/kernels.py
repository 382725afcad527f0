"""Which kernels compute which cell: the one table.

A kernel module provides

* `forward`, `backward`: kernels that take samples first…last−1 of a batch through all steps;
* `pack_forward`, `pack_backward`: parameters -> packed weights (and the bias) as these want them;
* `split_bias`: the bias gradient that `backward` sums -> those of bias_ih and bias_hh;
* `GATES`: what a step keeps for the backward, in hidden sizes per sample; `SCRATCH`: what the steps of a
  block need for their work.

Arguments of the kernels (T, B, I, H as everywhere; S states; all arrays contiguous):

=================  =============================================================================
`variant`          which φ, and where (the simple RNNs); 0 elsewhere
`inputs`           (T, B, I)
`weights`, `bias`  what `pack_forward` or `pack_backward` made
`h`                (T+1, B, H), of which `forward` gets the first, h_0, and writes the others: the output
`memory`           a second kept state: an LSTM's c (T+1, B, H), the first given; φ(h) (T, B, H) of
                   a pre-activation RNN; empty where none is kept
`gates`            (T, B, GATES·H) to be kept, or empty: then the steps of one block live in `workspace`
`final`            (S, B, H), written; in inference its [1] holds an LSTM's c_0 and then its running c
`lengths`          (B,): samples end there; output and gradients are zero beyond
`first`, `last`    the samples
`block`            steps whose input product, or whose part of the weight gradients, is one product
`workspace`        at least block·(last−first)·SCRATCH·H elements
`previous`         (T, B, H): what W_hh multiplied at each step (but r⊙h of `gru_reset_before`)
`grad_output`      (T, B, H), or empty: zeros
`grad_final`       (S, B, H)
`keep`             0: the parameters' gradients start at zero; 1: they are added to
`grad_initial`     (S, B, H), written: the running gradient of the state
`zeros`            at least max(I, H) zeros
=================  =============================================================================
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
