"""No clipping: what every other rule is compared with."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.rule import Array, rule


@rule("none", needs=())
def none(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """g → g."""
    return dict(gradients)
