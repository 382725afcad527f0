"""Networks that start by remembering all they see, or a set share of it."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks, check_positive
from implementations.contract import Parameters

INPUT_DEVIATION = 0.001
"""Standard deviation of the input weights in the paper."""


@INITIALIZATIONS.register("irnn")
def irnn(blocks: Blocks) -> Parameters:
    """Recurrent blocks gain·I, zero biases, input entries N(0, 0.001²): the IRNN.

    Applies to every gate's block; it is made for the ReLU RNN, whose state then is the sum of all inputs'
    rectified traces.  `identity` is the same with input weights of ordinary size.

    Source: Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
    units".
    """
    return scaled_identity(blocks, scale=1.0)


@INITIALIZATIONS.register("scaled_identity")
def scaled_identity(blocks: Blocks, *, scale: float = 0.01) -> Parameters:
    """Recurrent blocks gain·scale·I (scale 0.01), zero biases, input entries N(0, 0.001²).

    Applies to every gate's block.  A scale below 1 makes an IRNN forget, for tasks of short range.

    Source: Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
    units" (0.01 for speech).

    Raises:
        ValueError: a scale that is not positive.
    """
    check_positive("scale", scale)
    weight_ih = blocks.normal_input(INPUT_DEVIATION)
    weight_hh = blocks.recurrent(lambda: scale * np.eye(blocks.hidden_size))
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
