"""Variance kept by layers of rectified linear units."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("kaiming")
def kaiming(blocks: Blocks) -> Parameters:
    """Weights N(0, 2/fan_in): input blocks N(0, 2/I), recurrent blocks N(0, 2·gain²/H); zero biases.

    Applies to every gate's block by itself.  The factor 2 makes up for the half of a ReLU's inputs that is
    cut; behind σ or tanh it makes the recurrent spectral radius √2·gain.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equation 10.
    """
    weight_ih = blocks.normal_input(np.sqrt(2.0 / blocks.input_size))
    weight_hh = blocks.recurrent(lambda: blocks.normal(np.sqrt(2.0 / blocks.hidden_size)))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
