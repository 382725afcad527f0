"""Numbers with an exponent of their own, so that products of any length neither under- nor overflow.

An array is kept as a mantissa array and integer exponents, one per row (the last axis): row = mantissa·2^e.
Scaling by powers of two is exact.  Rows scale alone because right-hand products never mix them: a row that
has shrunk by 1e-400 against another is still there if that other one dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ZERO_EXPONENT = -(1 << 40)
"""Exponent of a row of exact zeros: below any that a product can reach."""
_LARGEST_SHIFT = 1000
LOG10_2 = float(np.log10(2.0))


@dataclass(frozen=True)
class Scaled:
    """Args:
    mantissa: (…, R, C).
    exponent: (…, R) integers; row r stands for mantissa[…, r, :]·2**exponent[…, r].
    """

    mantissa: Array
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, array: Array) -> Scaled:
        """An array of ordinary numbers."""
        return cls(array, np.zeros(array.shape[:-1], np.int64)).normalised()

    def normalised(self) -> Scaled:
        """The same values with the largest magnitude of each row in [0.5, 1), or an exact zero row.

        Raises:
            FloatingPointError: an entry is inf or NaN.
        """
        largest = np.max(np.abs(self.mantissa), axis=-1, initial=0.0)
        if not np.isfinite(largest).all():
            raise FloatingPointError("a product of Jacobians left the floating-point range within one step")
        shift = np.clip(np.frexp(largest)[1], -_LARGEST_SHIFT, _LARGEST_SHIFT).astype(np.int64)
        zero = largest == 0.0
        factor = power_of_two(-shift, self.mantissa.dtype)
        return Scaled(self.mantissa * factor[..., None], np.where(zero, ZERO_EXPONENT, self.exponent + shift))

    def rows(self, start: int, stop: int) -> Scaled:
        """Rows start…stop−1."""
        return Scaled(self.mantissa[..., start:stop, :], self.exponent[..., start:stop])

    def aligned(self) -> tuple[Array, NDArray[np.int64]]:
        """The matrices (…, R, C) at one exponent (…) each: what is below it by 2^1000 becomes zero."""
        top = self.exponent.max(axis=-1)
        factor = power_of_two(self.exponent - top[..., None], self.mantissa.dtype)
        return self.mantissa * factor[..., None], top


def add(terms: list[Scaled]) -> Scaled:
    """The sum, normalised.  Terms must be normalised."""
    if len(terms) == 1:
        return terms[0]
    top = np.maximum.reduce([term.exponent for term in terms])
    total = sum(
        term.mantissa * power_of_two(term.exponent - top, term.mantissa.dtype)[..., None] for term in terms
    )
    return Scaled(np.asarray(total), top).normalised()


def beside(terms: list[Scaled]) -> Scaled:
    """[A B …]: columns side by side, each row at its largest exponent."""
    top = np.maximum.reduce([term.exponent for term in terms])
    parts = [
        term.mantissa * power_of_two(term.exponent - top, term.mantissa.dtype)[..., None] for term in terms
    ]
    return Scaled(np.concatenate(parts, axis=-1), top)


def power_of_two(exponent: NDArray[np.int64], dtype: Any) -> Array:
    """2**exponent; 0 where it is below the range."""
    return np.ldexp(np.asarray(1.0, dtype), np.clip(exponent, -1100, _LARGEST_SHIFT).astype(np.int32))


def log10_of(value: Array, exponent: NDArray[np.int64]) -> Array:
    """log10(value·2^exponent) in float64; −inf for an exact zero."""
    value = np.asarray(value, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(value == 0.0, -np.inf, np.log10(value) + exponent * LOG10_2)
