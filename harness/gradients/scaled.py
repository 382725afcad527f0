"""Numbers with an exponent of their own, so that products of any length neither under- nor overflow.

An array is kept as a mantissa array and integer exponents, one per row (the last axis): row = mantissa·2^e.
Scaling by powers of two is exact.  Rows scale alone because right-hand products never mix them: a row that
has shrunk by 1e-400 against another is still there if that other one dies.  Arrays are NumPy's or torch's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.gradients.namespace import as_float64, as_int64, cast_like, integer_zeros, namespace_of

Array = NDArray[Any]

ZERO_EXPONENT = -(1 << 40)
"""Exponent of a row of exact zeros: below any that a product can reach."""
_LARGEST_SHIFT = 1000
_TWICE_IN_RANGE = {4: 254, 8: 2000}
"""By bytes of a number: what is beyond this power of two is inf or 0, and half of it is a normal number."""
_SMALLEST_NORMAL = -1022
_BIAS = 1023
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
        return cls(array, integer_zeros(array.shape[:-1], array)).normalised()

    def normalised(self) -> Scaled:
        """The same values with the largest magnitude of each row in [0.5, 1), or an exact zero row.

        Raises:
            FloatingPointError: an entry is inf or NaN.
        """
        xp = namespace_of(self.mantissa)
        if self.mantissa.shape[-1] == 0:
            largest = xp.zeros_like(as_float64(self.exponent))
        else:
            largest = xp.amax(xp.abs(self.mantissa), -1)
        if not bool(xp.isfinite(largest).all()):
            raise FloatingPointError("a product of Jacobians left the floating-point range within one step")
        shift = as_int64(xp.frexp(largest)[1])
        zero = xp.full_like(self.exponent, ZERO_EXPONENT)
        return Scaled(
            times_power_of_two(self.mantissa, -shift), xp.where(largest == 0.0, zero, self.exponent + shift)
        )

    def aligned(self) -> tuple[Array, NDArray[np.int64]]:
        """The matrices (…, R, C) at one exponent (…) each: what is below it by 2^1000 becomes zero."""
        top = namespace_of(self.mantissa).amax(self.exponent, -1)
        factor = power_of_two(self.exponent - top[..., None], self.mantissa)
        return self.mantissa * factor[..., None], top


def add(terms: list[Scaled]) -> Scaled:
    """The sum, normalised.  Terms must be normalised."""
    if len(terms) == 1:
        return terms[0]
    parts, top = _at_the_top(terms)
    return Scaled(functools.reduce(lambda a, b: a + b, parts), top).normalised()


def beside(terms: list[Scaled]) -> Scaled:
    """[A B …]: columns side by side, each row at its largest exponent."""
    parts, top = _at_the_top(terms)
    return Scaled(namespace_of(top).concatenate(parts, -1), top)


def _at_the_top(terms: list[Scaled]) -> tuple[list[Array], NDArray[np.int64]]:
    """The mantissas of all terms at the largest exponent of each row."""
    xp = namespace_of(terms[0].mantissa)
    top = functools.reduce(xp.maximum, [term.exponent for term in terms])
    return [
        term.mantissa * power_of_two(term.exponent - top, term.mantissa)[..., None] for term in terms
    ], top


def power_of_two(exponent: NDArray[np.int64], like: Any) -> Array:
    """2**exponent in the dtype of the array `like`; 0 where it is below the range of normal numbers.

    Written into the bits of a float64, so that it is exact in every array library.
    """
    xp = namespace_of(exponent)
    bits = xp.clip(exponent, _SMALLEST_NORMAL, _LARGEST_SHIFT) + _BIAS << 52
    value = bits.view(xp.float64) * (exponent >= _SMALLEST_NORMAL)
    return cast_like(value, like)


def powers_of_two(exponent: NDArray[np.int64], like: Any) -> tuple[Array, Array]:
    """2**exponent as two factors, so that neither leaves the range before the product does."""
    xp, most = namespace_of(exponent), _TWICE_IN_RANGE[like.itemsize]
    clipped = xp.clip(exponent, -most, most)
    half = clipped // 2
    return power_of_two(half, like), power_of_two(clipped - half, like)


def times_power_of_two(array: Array, exponent: NDArray[np.int64]) -> Array:
    """array (…, C)·2**exponent (…): inf above the range, 0 below."""
    first, second = powers_of_two(exponent, array)
    return array * first[..., None] * second[..., None]


def log10_of(value: ArrayLike, exponent: NDArray[np.int64] | int) -> Array:
    """log10(value·2^exponent) in float64, NumPy; −inf for an exact zero."""
    value = np.asarray(value, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(value == 0.0, -np.inf, np.log10(value) + exponent * LOG10_2)
