"""Clamping every entry."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.rule import Array, rule


@rule("value")
def value(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """g → min(max(g, −c), c), entry by entry: inf becomes ±c, NaN stays.

    Source: Mikolov 2012, "Statistical language models based on neural networks"; at the gates, Graves 2013,
    "Generating sequences with recurrent neural networks".
    """
    return {name: array.clip(-threshold, threshold) for name, array in gradients.items()}
