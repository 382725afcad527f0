"""The echo-state network's reservoir."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Array, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("spectral_radius")
def spectral_radius(blocks: Blocks) -> Parameters:
    """Recurrent blocks gain·W/ρ(W), W Gaussian, ρ = max|λ|: the gain is the spectral radius; zero biases.

    Applies to every gate's block by itself; input blocks are Xavier uniform.  The radius sets the rate of a
    linear network at long lags; the norm of such a W, which a radius does not bound, is about twice as large.

    Source: Jaeger 2001, "The 'echo state' approach to analysing and training recurrent neural networks".
    """

    def draw() -> Array:
        weight = blocks.normal(1.0)
        return weight / np.abs(np.linalg.eigvals(weight)).max()

    weight_ih = blocks.xavier_input()
    return blocks.parameters(weight_ih=weight_ih, weight_hh=blocks.recurrent(draw))
