"""What `torch.nn.RNN`, `LSTM` and `GRU` start with."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("pytorch_uniform")
def pytorch_uniform(blocks: Blocks) -> Parameters:
    """Every weight and bias, extras too: U(−1/√H, 1/√H); weight_hh times the gain.

    Applies to all blocks of a gated cell alike.  For a plain RNN the recurrent variance is 1/(3H), so that
    the spectral radius of W_hh is near gain/√3 = 0.58·gain: gradients vanish by default.

    Source: `RNNBase.reset_parameters` in PyTorch.
    """
    bound = 1.0 / np.sqrt(blocks.hidden_size)
    arrays = {name: blocks.rng.uniform(-bound, bound, shape) for name, shape in blocks.shapes.items()}
    return blocks.parameters(**{**arrays, "weight_hh": blocks.gain * arrays["weight_hh"]})
