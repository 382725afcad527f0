"""Clipping by the norm of all gradients together, as it was proposed."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule


@rule("global_norm_pascanu")
def global_norm_pascanu(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """g → g·c/n where n > c, n the 2-norm over all entries; g itself elsewhere.

    Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks",
    algorithm 1.
    """
    norm = Norm(gradients.values())
    bounded = norm.bounding(threshold)
    return {name: bounded(array) for name, array in gradients.items()}
