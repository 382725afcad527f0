"""Variance balanced between the forward and the backward pass."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("xavier_uniform")
def xavier_uniform(blocks: Blocks) -> Parameters:
    """Weights U(−a, a), a = √(6/(fan_in + fan_out)); recurrent blocks: a = gain·√(3/H); zero biases.

    Applies to every gate's block by itself: fan_out is H, not G·H as it would be for the stacked matrix.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 16.
    """
    size = blocks.hidden_size
    bound = np.sqrt(3.0 / size)
    weight_ih = blocks.xavier_input()
    weight_hh = blocks.recurrent(lambda: blocks.rng.uniform(-bound, bound, (size, size)))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
