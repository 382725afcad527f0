"""Few connections per unit, so that units stay diverse."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Array, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("sparse")
def sparse(blocks: Blocks, *, nonzero: int = 15) -> Parameters:
    """Recurrent rows with k = min(nonzero, H) entries N(0, gain²/k) at random places, else 0; zero biases.

    Applies to every gate's block, each row's places a draw of their own; input blocks are Xavier uniform.
    With variance 1/k the spectral radius is near the gain (the papers draw unit variance, and for a recurrent
    network scale to a radius of 1.1).

    Source: Martens 2010, "Deep learning via Hessian-free optimization" (15 connections); for
    recurrent networks: Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and
    momentum in deep learning".

    Raises:
        ValueError: nonzero below 1.
    """
    if nonzero < 1:
        raise ValueError(f"nonzero must be at least 1, got {nonzero}")
    size = blocks.hidden_size
    count = min(nonzero, size)

    def draw() -> Array:
        places = np.argsort(blocks.rng.random((size, size)), axis=1)[:, :count]
        weight = np.zeros((size, size))
        values = blocks.rng.standard_normal((size, count)) / np.sqrt(count)
        np.put_along_axis(weight, places, values, axis=1)
        return weight

    weight_ih = blocks.xavier_input()
    return blocks.parameters(weight_ih=weight_ih, weight_hh=blocks.recurrent(draw))
