"""A rule with its threshold and place, ready to be applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from harness.clipping.norms import Norm
from harness.clipping.rule import CLIPPING_RULES, PLACES, Array, Place, Rule
from harness.text import one_line


@dataclass(frozen=True)
class Clipped:
    """Args:
    gradients: name -> array of the kind, dtype and shape that was given; whole numbers come back as float64.
    norm_before, norm_after: 2-norm of all entries together, of what was given and of what is returned, in
        float64.
    non_finite: how many entries came in as NaN or inf.
    zeroed: how many entries came in as a finite number other than zero and are returned as zero, because
        what the rule makes of them is below the range of that dtype.
    """

    gradients: dict[str, Any]
    norm_before: float
    norm_after: float
    non_finite: int
    zeroed: int = 0


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
        ValueError: a threshold that is absent, not finite, not positive or no number; steps that are absent,
            below 1 or not whole; a place where this rule cannot act.
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
        if self.threshold is not None and not _positive(self.threshold):
            got = one_line(repr(self.threshold))[:60]
            raise ValueError(f"threshold must be a finite number > 0, got {got}")
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
            ValueError: what is no array of real numbers; parameters that the rule needs are absent or of
                other shapes; for "per_sample_norm", arrays that have no first axis, or not of one length.
        """
        definition = CLIPPING_RULES[self.rule]
        wide = {name: _to_float64(f"gradient {name}", array) for name, array in gradients.items()}
        weights = {n: _to_float64(f"parameter {n}", array) for n, array in (parameters or {}).items()}
        if (reason := _misfit(definition, wide, weights)) is not None:
            raise ValueError(f"clipping rule {self.rule!r} needs {reason}")
        threshold = math.inf if self.threshold is None else float(self.threshold)
        clipped = definition.clip(wide, threshold, weights)
        found = {n: _like(gradients[n], array.reshape(wide[n].shape)) for n, array in clipped.items()}
        returned = {name: _to_float64(name, array) for name, array in found.items()}
        return Clipped(
            gradients=found,
            norm_before=float(Norm(wide.values()).value.item()),
            norm_after=float(Norm(returned.values()).value.item()),
            non_finite=sum(int(np.count_nonzero(~np.isfinite(array))) for array in wide.values()),
            zeroed=sum(int(np.count_nonzero((wide[n] != 0.0) & (a == 0.0))) for n, a in returned.items()),
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


def _positive(number: Any) -> bool:
    if isinstance(number, bool | np.bool_) or not isinstance(number, Real):
        return False
    try:
        return 0.0 < float(number) < math.inf
    except OverflowError:
        return False


def _misfit(definition: Rule, gradients: Mapping[str, Array], weights: Mapping[str, Array]) -> str | None:
    """What a rule needs and has not got, or None where it can act."""
    if "samples" in definition.needs and len({array.shape[:1] for array in gradients.values()} | {()}) != 2:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in gradients.items())
        return f"arrays (B, …) of one B, got {shapes}" if gradients else None
    if "parameters" in definition.needs:
        for name, array in gradients.items():
            if name not in weights:
                return f"the parameters too: missing {name} of shape {array.shape}"
            if weights[name].shape != array.shape:
                return (
                    f"parameters of the gradients' shapes, got {name}: gradient {array.shape}, "
                    f"parameter {weights[name].shape}"
                )
    return None


def _to_float64(name: str, array: Any) -> Array:
    if hasattr(array, "detach"):
        kept = array.detach().cpu()
        array = kept.numpy() if kept.is_complex() else kept.double().numpy()
    try:
        found = np.asarray(array)
    except ValueError:  # rows of several lengths
        found = np.empty((), object)
    if found.dtype.kind not in "fiub":
        got = "None" if array is None else f"{type(array).__name__} of {found.dtype.type.__name__}"
        raise ValueError(f"{name} must be an array of real numbers, got {got}")
    return found.astype(np.float64, copy=False)


def _like(given: Any, array: Array) -> Any:
    """`array` as a new object of the kind of `given` and of its dtype, where that is one of real numbers."""
    if hasattr(given, "detach"):
        own = given.detach()
        return (own if own.is_floating_point() else own.double()).new_tensor(array)
    dtype = np.asarray(given).dtype
    with np.errstate(under="ignore"):
        return np.array(array, dtype=dtype if dtype.kind == "f" else np.float64)
