"""The random network of mean-field theory."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("gaussian")
def gaussian(blocks: Blocks) -> Parameters:
    """Recurrent entries N(0, g²/H) with g the gain; input entries N(0, 1/I); zero biases.

    Applies to every gate's block alike.  White input of unit variance then adds variance 1 to each
    pre-activation, and the spectral radius of a recurrent block is near g.

    Source: Sompolinsky, Crisanti & Sommers 1988, "Chaos in random neural networks".
    """
    weight_ih = blocks.rng.standard_normal(blocks.shapes["weight_ih"]) / np.sqrt(blocks.input_size)
    weight_hh = blocks.recurrent(lambda: blocks.normal(1.0 / np.sqrt(blocks.hidden_size)))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
