"""Clipping each unit's gradient relative to its weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule

SMALLEST_WEIGHT_NORM = 1e-3


@rule(
    "adaptive",
    places=("parameters",),
    why_not_elsewhere="it compares a gradient with the weights it updates",
    needs=("threshold", "parameters"),
)
def adaptive(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """For each unit i: g_i → g_i·λ·max(‖W_i‖, ε)/‖g_i‖ where ‖g_i‖ > λ·max(‖W_i‖, ε); ε = 1e-3.

    A unit is a row of a matrix, and a bias vector as a whole.  Brock et al. leave the last linear layer
    unclipped.  A rule cannot know which array that is: here every array that is given is clipped.  A training
    gives its readout's too; of one that starts at zero, each unit's gradient is held to λ·ε at first.

    Source: Brock, De, Smith & Simonyan 2021, "High-performance large-scale image recognition without
    normalization", section 4.1 (λ is their clipping factor, about 0.01) and their published code.
    """
    clipped = {}
    for name, gradient in gradients.items():
        rows = gradient.ndim > 1
        weight = Norm([parameters[name]], keep_first_axis=rows).value
        allowed = threshold * np.maximum(weight, SMALLEST_WEIGHT_NORM)
        clipped[name] = Norm([gradient], keep_first_axis=rows).bounding(allowed)(gradient)
    return clipped
