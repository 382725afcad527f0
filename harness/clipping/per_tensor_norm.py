"""Clipping each gradient array by its own norm."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule


@rule("per_tensor_norm")
def per_tensor_norm(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """For each array by itself: g → g·c/‖g‖₂ where ‖g‖₂ > c.

    Bounds each array's norm, and turns the direction of the whole.  Source: `clipnorm` of Keras's optimizers.
    """
    return {name: Norm([array]).bounding(threshold)(array) for name, array in gradients.items()}
