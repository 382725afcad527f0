"""Variance balanced between the forward and the backward pass, in its Gaussian form."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("xavier_normal")
def xavier_normal(blocks: Blocks) -> Parameters:
    """Weights N(0, 2/(fan_in + fan_out)); recurrent blocks: N(0, gain²/H); zero biases.

    Applies to every gate's block by itself: fan_out is H, not G·H as it would be for the stacked matrix.  The
    recurrent spectral radius is near the gain.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 12, with a Gaussian of that variance.
    """
    fans = blocks.input_size + blocks.hidden_size
    weight_ih = blocks.normal_input(np.sqrt(2.0 / fans))
    weight_hh = blocks.recurrent(lambda: blocks.normal(1.0 / np.sqrt(blocks.hidden_size)))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
