"""Clipping by the norm of all gradients together, as torch computes it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule


@rule("global_norm")
def global_norm(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """g → g·min(1, c/(n + 1e-6)), n the 2-norm over all entries: a norm of exactly c ends a hair below c.

    Source: `torch.nn.utils.clip_grad_norm_`.
    """
    norm = Norm(gradients.values())
    bounded = norm.bounding(threshold, offset=1e-6)
    return {name: bounded(array) for name, array in gradients.items()}
