"""What a clipping rule is, and how it is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from implementations.registry import Registry

Array = NDArray[Any]
Place = Literal["parameters", "state", "gates"]
PLACES: tuple[Place, ...] = ("parameters", "state", "gates")

ClipFunction = Callable[[Mapping[str, Array], float, Mapping[str, Array]], dict[str, Array]]
"""(gradients in float64, threshold, parameters) -> new gradients; may return an array that it was given."""


@dataclass(frozen=True)
class Rule:
    """Args:
    clip: what is done to gradients.
    places: where this rule can act.
    why_not_elsewhere: why it cannot act anywhere else; "" where it can act everywhere.
    needs: what it must be given: "threshold", "steps", "parameters" (of its gradients' shapes) or "samples"
        (gradients with one first axis).
    """

    clip: ClipFunction
    places: tuple[Place, ...] = PLACES
    why_not_elsewhere: str = ""
    needs: tuple[str, ...] = ("threshold",)


CLIPPING_RULES: Registry[Rule] = Registry("clipping rule", "harness.clipping", "rnn_harness.clipping")


def rule(name: str, **settings: Any) -> Callable[[ClipFunction], ClipFunction]:
    """Decorator: register a function as the rule `name`, with the further fields of :class:`Rule`."""

    def enter(clip: ClipFunction) -> ClipFunction:
        CLIPPING_RULES.register(name)(Rule(clip, **settings))
        return clip

    return enter
