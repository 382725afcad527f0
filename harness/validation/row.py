"""One line of the table: expected, got, tolerance, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Row:
    """Args:
    name: what is compared.
    expected, got: where arrays are compared, their entries at the place of the largest error.
    error: the largest error of all entries; inf where a shape, an infinity or a NaN does not match.
    tolerance: the largest error that passes.
    relation: "=", or "<=" where `expected` is a bound and the error is what goes beyond it.
    note: why there is no number; "" where there is.
    group, subject: the check's group, and who was checked ("engine", "numba float32"); set by the runner.
    """

    name: str
    expected: float
    got: float
    error: float
    tolerance: float
    relation: Literal["=", "<="] = "="
    note: str = ""
    group: str = ""
    subject: str = "engine"

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


def close(name: str, expected: ArrayLike, got: ArrayLike, tolerance: float, *, relative: bool = False) -> Row:
    """Equality within a tolerance, of numbers or arrays.

    Args:
        tolerance: of |got − expected|; with `relative`, in units of the largest |expected|.
    """
    wanted, found = np.asarray(expected, dtype=np.float64), np.asarray(got, dtype=np.float64)
    if wanted.shape != found.shape:
        note = f"shape {found.shape} in place of {wanted.shape}"
        return Row(name, np.nan, np.nan, np.inf, tolerance, note=note)
    with np.errstate(invalid="ignore"):
        errors = np.where(wanted == found, 0.0, np.abs(found - wanted))
    errors = np.where(np.isnan(errors), np.inf, errors)
    scale = _largest(wanted) if relative else 1.0
    return _worst(name, wanted, found, errors / (scale or 1.0), tolerance, "=")


def at_most(name: str, bound: ArrayLike, got: ArrayLike, *, slack: float) -> Row:
    """`got` <= `bound` everywhere, but for rounding of size `slack`."""
    wanted = np.asarray(bound, dtype=np.float64)
    found = np.asarray(got, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        beyond = np.where(found <= wanted, 0.0, found - wanted)
    beyond = np.where(np.isnan(beyond), np.inf, beyond)
    wanted, found = np.broadcast_arrays(wanted, found)
    return _worst(name, wanted, found, beyond, slack, "<=")


def failed(name: str, error: Exception) -> Row:
    """A check that ended in an exception."""
    note = " ".join(f"{type(error).__name__}: {error}".split())
    return Row(name, np.nan, np.nan, np.inf, 0.0, note=note)


def _largest(array: Any) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))


def _worst(
    name: str, wanted: Any, found: Any, errors: Any, tolerance: float, relation: Literal["=", "<="]
) -> Row:
    """The row of the entry with the largest error; among equals, of that with the largest magnitude."""
    if errors.size == 0:
        return Row(name, np.nan, np.nan, np.inf, tolerance, relation, note="nothing to compare")
    worst = errors == errors.max()
    place = np.unravel_index(int(np.argmax(np.where(worst, np.abs(wanted), -1.0))), errors.shape)
    return Row(name, float(wanted[place]), float(found[place]), float(errors[place]), tolerance, relation)
