"""The snippet that lectures show, as written."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.norms import Norm
from harness.clipping.rule import Array, rule


@rule("lecture_squared_norm")
def lecture_squared_norm(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """`grad_norm = sum(grad * grad); if grad_norm > threshold: grad *= threshold / grad_norm`.

    It compares with and divides by the *squared* norm: a gradient of norm n > √c comes out with norm c/n,
    the smaller the larger it was.  Here to show what that does, not to be used.
    """
    norm = Norm(gradients.values())
    largest, relative = norm.largest.item(), norm.relative.item()
    if not norm.finite.all() or largest == 0.0 or threshold / largest >= largest * relative**2:
        return dict(gradients)
    # Two factors, since the square of a large norm is beyond float64.
    return {name: array / largest * (threshold / largest / relative**2) for name, array in gradients.items()}
