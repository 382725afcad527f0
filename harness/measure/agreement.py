"""Right before fast: a backend's results held against the float64 reference, quantity by quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from implementations.tolerances import RELATIVE_TOLERANCE, relative_error


@dataclass(frozen=True)
class Agreement:
    """One quantity: its relative error max|a − ref| / max|ref|, and the largest that counts as agreement."""

    quantity: str
    relative_error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.relative_error <= self.tolerance


def agreements(
    actual: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]], dtype: str
) -> list[Agreement]:
    """Compare every quantity of the reference.

    Raises:
        ValueError: a quantity that the reference has is missing.
    """
    missing = [name for name in reference if name not in actual]
    if missing:
        raise ValueError(f"results lack {', '.join(missing)}; got {', '.join(actual)}")
    tolerances = RELATIVE_TOLERANCE[dtype]
    return [
        Agreement(
            name,
            relative_error(actual[name], reference[name]),
            tolerances["gradient" if name.startswith("grad_") else "output"],
        )
        for name in reference
    ]


class Disagreement(AssertionError):
    """A backend's results are not the reference's: no time is shown for them."""


def require_agreement(found: list[Agreement]) -> float:
    """The largest relative error.

    Raises:
        Disagreement: some quantity is outside its tolerance; the message names the worst.
    """
    outside = [a for a in found if not a.holds]
    if outside:
        worst = max(outside, key=lambda a: a.relative_error / a.tolerance)
        raise Disagreement(
            f"{worst.quantity} differs from the float64 reference: relative error "
            f"{worst.relative_error:.3g}, tolerance {worst.tolerance:.3g}"
        )
    return max((a.relative_error for a in found), default=0.0)
