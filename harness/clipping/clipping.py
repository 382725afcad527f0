"""A rule with its threshold and place, ready to be applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from harness.clipping.norms import Norm
from harness.clipping.rule import CLIPPING_RULES, PLACES, Place


@dataclass(frozen=True)
class Clipped:
    """Args:
    gradients: name -> array of the kind, dtype and shape that was given.
    norm_before, norm_after: 2-norm of all entries together, in float64.
    non_finite: how many entries came in as NaN or inf.
    """

    gradients: dict[str, Any]
    norm_before: float
    norm_after: float
    non_finite: int


@dataclass(frozen=True)
class Clipping:
    """Args:
    rule: a name in CLIPPING_RULES.
    threshold: positive; what it bounds stands with the rule ("none" and "truncated" do without).
    place: "parameters", "state" or "gates"; absent: "parameters", or the rule's only place.
    steps: how many steps back "truncated" lets a loss gradient travel.

    Entries that are not finite are counted and never made to look well: a rule that scales by a norm leaves
    the group of which that norm is (all gradients, a tensor, a sample, a unit) as it came; "value" clamps inf
    to the threshold and keeps NaN.

    Raises:
        UnknownName: (a KeyError) no such rule; the message names the nearest.
        ValueError: a threshold that is absent, NaN or not positive; steps that are absent, below 1 or not
            whole; a place where this rule cannot act.
    """

    rule: str
    threshold: float | None = None
    place: Place | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        definition = CLIPPING_RULES[self.rule]
        if self.place is None:
            default: Place = "parameters" if "parameters" in definition.places else definition.places[0]
            object.__setattr__(self, "place", default)
        if self.place not in PLACES:
            raise ValueError(f"place must be one of {', '.join(PLACES)}, got {self.place!r}")
        if (reason := why_not(self.rule, str(self.place))) is not None:
            raise ValueError(reason)
        if self.threshold is None and "threshold" in definition.needs:
            raise ValueError(f"clipping rule {self.rule!r} needs a threshold > 0, got none")
        if self.threshold is not None and not self.threshold > 0.0:
            raise ValueError(f"threshold must be > 0, got {self.threshold}")
        if self.steps is None and "steps" in definition.needs:
            raise ValueError(f"clipping rule {self.rule!r} needs steps >= 1, got none")
        if self.steps is not None and (not _whole(self.steps) or self.steps < 1):
            raise ValueError(f"steps must be a whole number of at least 1, got {self.steps}")

    def clip(self, gradients: Mapping[str, Any]) -> dict[str, Any]:
        """New gradients by this rule, for one that reads no parameters, and no more: nothing is counted and
        nothing waits for a device.

        Args:
            gradients: name -> array in float64, NumPy's or torch's; at place "state" or "gates" (B, …).
        """
        threshold = math.inf if self.threshold is None else float(self.threshold)
        return CLIPPING_RULES[self.rule].clip(gradients, threshold, {})

    def apply(self, gradients: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> Clipped:
        """New gradients by this rule; what is given stays as it is.

        Args:
            gradients: name -> NumPy array or torch tensor; at place "state" or "gates" (B, …).
            parameters: name -> the parameter, for a rule that compares with it ("adaptive").

        Raises:
            ValueError: parameters that the rule needs are absent.
        """
        definition = CLIPPING_RULES[self.rule]
        wide = {name: _to_float64(array) for name, array in gradients.items()}
        weights = {name: _to_float64(array) for name, array in (parameters or {}).items()}
        if "parameters" in definition.needs and (missing := [name for name in wide if name not in weights]):
            raise ValueError(f"clipping rule {self.rule!r} needs the parameters too: missing {missing[0]}")
        threshold = math.inf if self.threshold is None else float(self.threshold)
        clipped = definition.clip(wide, threshold, weights)
        return Clipped(
            gradients={n: _like(gradients[n], array.reshape(wide[n].shape)) for n, array in clipped.items()},
            norm_before=float(Norm(wide.values()).value.item()),
            norm_after=float(Norm(clipped.values()).value.item()),
            non_finite=sum(int(np.count_nonzero(~np.isfinite(array))) for array in wide.values()),
        )


def why_not(rule: str, place: str) -> str | None:
    """Why `rule` cannot act at `place`, or None where it can."""
    definition = CLIPPING_RULES[rule]
    if place in definition.places:
        return None
    return (
        f"clipping rule {rule!r} cannot act at place {place!r}: {definition.why_not_elsewhere}; "
        f"it can at {', '.join(definition.places)}"
    )


def _whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _to_float64(array: Any) -> Any:
    if hasattr(array, "detach"):
        array = array.detach().cpu().double().numpy()
    return np.asarray(array, dtype=np.float64)


def _like(given: Any, array: Any) -> Any:
    """`array` as a new object of the kind and dtype of `given`."""
    if hasattr(given, "detach"):
        return given.detach().new_tensor(array)
    return np.array(array, dtype=np.asarray(given).dtype)
