"""Letting gradients travel a bounded number of steps."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clipping.rule import Array, rule


@rule(
    "truncated",
    places=("state",),
    why_not_elsewhere="it cuts the backward recurrence through time",
    needs=("steps",),
)
def truncated(
    gradients: Mapping[str, Array], threshold: float, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """The gradient of each L_t goes back `steps` steps, to h_{t−steps}, and is zero beyond.

    What it cuts is time, which the backward recurrence does: values that still travel stay as they are.

    Source: Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories", BPTT(h).
    """
    return dict(gradients)
