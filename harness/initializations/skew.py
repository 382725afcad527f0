"""Orthogonal matrices made of skew-symmetric ones: planes that turn by drawn angles."""

from __future__ import annotations

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Array, Blocks
from implementations.contract import Parameters


@INITIALIZATIONS.register("henaff")
def henaff(blocks: Blocks) -> Parameters:
    """Recurrent blocks gain·exp(A), A skew with ⌊H/2⌋ blocks [[0, s], [−s, 0]], s ~ U(−π, π); zero biases.

    exp(A) turns each plane by its s: a block-diagonal of 2×2 rotations (and a 1 where H is odd), with
    eigenvalues e^{±is} all around the unit circle.  Applies to every gate's block, each a draw of its own;
    input blocks are Xavier uniform.

    Source: Henaff, Szlam & LeCun 2016, "Recurrent orthogonal networks and long-memory tasks".
    """

    def draw() -> Array:
        return plane_rotations(blocks.rng.uniform(-np.pi, np.pi, blocks.hidden_size // 2), blocks.hidden_size)

    weight_ih = blocks.xavier_input()
    return blocks.parameters(weight_ih=weight_ih, weight_hh=blocks.recurrent(draw))


@INITIALIZATIONS.register("cayley")
def cayley(blocks: Blocks, *, negative_ones: int = 0) -> Parameters:
    """Recurrent blocks gain·(I + A)⁻¹(I − A)·D, A skew, D diagonal of ±1; zero biases.

    A has ⌊H/2⌋ blocks [[0, s], [−s, 0]], s = √((1 − cos θ)/(1 + cos θ)) = tan(θ/2), θ ~ U(0, π/2): the Cayley
    transform alone has eigenvalues e^{±iθ}, in the right half of the unit circle.  D's first `negative_ones`
    entries are −1 (the paper's ρ, a choice by task), which lets the product reach the rest of it.  Applies to
    every gate's block, each a draw of its own; input blocks are Xavier uniform.

    Source: Helfrich, Willmott & Ye 2018, "Orthogonal recurrent neural networks with scaled Cayley transform".

    Raises:
        ValueError: negative_ones outside 0…H.
    """
    size = blocks.hidden_size
    if not 0 <= negative_ones <= size:
        raise ValueError(f"negative_ones must be in 0…{size} (the hidden size), got {negative_ones}")
    signs = np.where(np.arange(size) < negative_ones, -1.0, 1.0)

    def draw() -> Array:
        # (I + A)⁻¹(I − A) of a block with s = tan(θ/2) is the rotation by −θ, in closed form.
        return plane_rotations(-blocks.rng.uniform(0.0, np.pi / 2.0, size // 2), size) * signs

    weight_ih = blocks.xavier_input()
    return blocks.parameters(weight_ih=weight_ih, weight_hh=blocks.recurrent(draw))


def plane_rotations(angles: Array, size: int) -> Array:
    """exp of the (H, H) matrix with blocks [[0, s], [−s, 0]]: blocks [[cos s, sin s], [−sin s, cos s]]."""
    matrix = np.eye(size)
    first = 2 * np.arange(len(angles))
    matrix[first, first] = matrix[first + 1, first + 1] = np.cos(angles)
    matrix[first, first + 1] = np.sin(angles)
    matrix[first + 1, first] = -np.sin(angles)
    return matrix
