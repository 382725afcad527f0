"""Clipping each sample's gradient by its own norm."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule


@rule(
    "per_sample_norm",
    places=("state", "gates"),
    why_not_elsewhere="a parameter's gradient is already summed over the samples",
    needs=("threshold", "samples"),
)
def per_sample_norm(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """For each index b of the first axis: g_b → g_b·c/n_b where n_b > c, n_b over all arrays that are given.

    Source: Abadi et al. 2016, "Deep learning with differential privacy", the clipping step of algorithm 1.
    """
    norm = Norm(gradients.values(), keep_first_axis=True)
    bounded = norm.bounding(threshold)
    return {name: bounded(array) for name, array in gradients.items()}
