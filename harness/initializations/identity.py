"""A network that starts by remembering."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("identity")
def identity(blocks: Blocks) -> Parameters:
    """Recurrent blocks gain·I, zero biases, input blocks Xavier uniform.

    Applies to every gate's recurrent block.  It is made for the ReLU RNN: where all pre-activations are
    positive, ∂h_t/∂h_k is the identity at every lag.

    Source: Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
    units".
    """
    weight_ih = blocks.xavier_input()
    weight_hh = blocks.recurrent(lambda: np.eye(blocks.hidden_size))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
