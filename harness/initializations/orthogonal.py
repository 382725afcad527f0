"""Recurrent weights that neither stretch nor shrink."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Array, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("orthogonal")
def orthogonal(blocks: Blocks) -> Parameters:
    """Recurrent blocks gain·Q with Q uniform (Haar) over the orthogonal matrices; zero biases.

    Applies to every gate's recurrent block by itself, each a draw of its own: all its singular values are the
    gain.  Input blocks are Xavier uniform.

    Source: Saxe, McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks"; the draw: Mezzadri 2007, "How to generate random matrices from the classical
    compact groups".
    """
    weight_ih = blocks.xavier_input()
    return blocks.parameters(weight_ih=weight_ih, weight_hh=blocks.recurrent(lambda: haar(blocks)))


def haar(blocks: Blocks) -> Array:
    """One (H, H) orthogonal matrix, uniform under the Haar measure.

    Q of a Gaussian's QR alone is not uniform: LAPACK's choice of signs biases it, unless R's diagonal is made
    positive.
    """
    q, r = np.linalg.qr(blocks.normal(1.0))
    return q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
