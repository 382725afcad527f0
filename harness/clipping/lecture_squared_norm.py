"""The snippet that lectures show, as written."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule
from harness.namespaces import namespace_of


@rule("lecture_squared_norm")
def lecture_squared_norm(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """`grad_norm = sum(grad * grad); if grad_norm > threshold: grad *= threshold / grad_norm`.

    It compares with and divides by the *squared* norm: a gradient of norm n > √c comes out with norm c/n,
    the smaller the larger it was.  Here to show what that does, not to be used.
    """
    norm = Norm(gradients.values())
    xp = namespace_of(norm.largest)
    one = xp.ones_like(norm.largest)
    with np.errstate(all="ignore"):
        # c/n² beyond float64 is still right as the square of √c/n, which is applied twice.
        root = threshold**0.5 / norm.largest / norm.relative
        root = xp.where(norm.finite & (norm.largest > 0.0) & (root < 1.0), root, one)
        return {name: array * root * root for name, array in gradients.items()}
