"""Vectors pulled back through time: vᵀP(t, k) for k = t, t−1, …, and no matrix but the weights.

Each row has one exponent, common to all states.  Everything stays where the trajectory lives: nothing is
looked at on the way, so that a device runs ahead of the program.  What leaves the range within one step
becomes inf or NaN, and `checked` finds it at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.gradients.namespace import as_float64, as_int64, integer_zeros, namespace_of
from harness.gradients.onestep import OneStep
from harness.gradients.scaled import (
    LOG10_2,
    ZERO_EXPONENT,
    power_of_two,
    powers_of_two,
    times_power_of_two,
)
from harness.gradients.trajectory import Array

Native = Any


@dataclass(frozen=True)
class Pulled:
    """Args:
    parts: per state (B, R, H); row r stands for parts·2^exponent[:, r], the largest magnitude in [0.5, 1).
    exponent: (B, R).
    """

    parts: tuple[Native, ...]
    exponent: Native

    @classmethod
    def of(cls, parts: Sequence[Native], exponent: Native | None = None) -> Pulled:
        """Rows of ordinary numbers, (B, R, H) per state, or of such at an exponent (B, R)."""
        if exponent is None:
            exponent = integer_zeros(parts[0].shape[:-1], parts[0])
        xp = namespace_of(parts[0])
        largest = functools.reduce(xp.maximum, [xp.amax(xp.abs(part), -1) for part in parts])
        shift = as_int64(xp.frexp(largest)[1])
        zero = xp.full_like(exponent, ZERO_EXPONENT)
        first, second = (factor[..., None] for factor in powers_of_two(-shift, parts[0]))
        return cls(
            tuple(part * first * second for part in parts),
            xp.where(largest == 0.0, zero, exponent + shift),
        )

    def through(self, step: OneStep, slopes: tuple[Native, ...]) -> tuple[Pulled, tuple[Native, ...]]:
        """vᵀJ, and what of the rows of `parts` reached the pre-activations (see `OneStep.pull`)."""
        with np.errstate(all="ignore"):
            parts, reached = step.pull(self.parts, slopes)
            return Pulled.of(parts, self.exponent), reached

    def plus(self, other: Pulled) -> Pulled:
        """The sum of rows of the same shapes."""
        top = namespace_of(self.exponent).maximum(self.exponent, other.exponent)
        mine, its = (power_of_two(one.exponent - top, self.parts[0])[..., None] for one in (self, other))
        return Pulled.of([a * mine + b * its for a, b in zip(self.parts, other.parts, strict=True)], top)

    def where(self, chosen: Native, other: Pulled) -> Pulled:
        """These rows in the samples `chosen` (B,), those of `other` elsewhere."""
        xp = namespace_of(self.exponent)
        parts = zip(self.parts, other.parts, strict=True)
        return Pulled(
            tuple(xp.where(chosen[:, None, None], mine, its) for mine, its in parts),
            xp.where(chosen[:, None], self.exponent, other.exponent),
        )

    def rows(self, some: slice) -> Pulled:
        """Those of some samples."""
        return Pulled(tuple(part[some] for part in self.parts), self.exponent[some])

    def followed_by(self, other: Pulled) -> Pulled:
        """The samples of both."""
        xp, parts = namespace_of(self.exponent), zip(self.parts, other.parts, strict=True)
        return Pulled(
            tuple(xp.concatenate(both) for both in parts),
            xp.concatenate([self.exponent, other.exponent]),
        )

    def at(self, top: Native) -> tuple[Native, ...]:
        """Per state (B, R, H), at a common exponent that is not below any other's."""
        factor = power_of_two(self.exponent - top, self.parts[0])[..., None]
        return tuple(part * factor for part in self.parts)


def plain(array: Native, exponent: Native) -> Native:
    """array (…, H)·2^exponent (…) in plain numbers, float64: inf above the range, 0 below."""
    array = as_float64(array)
    with np.errstate(over="ignore"):
        return times_power_of_two(array, exponent)


def log10_norms(array: Native, exponent: Native | int = 0) -> Native:
    """log10 of the 2-norm over the last axis of array·2^exponent, in float64; −inf for exact zeros."""
    xp, array = namespace_of(array), as_float64(array)
    largest = xp.amax(xp.abs(array), -1)
    shift = as_int64(xp.frexp(largest)[1])
    # By powers of two, so that the same numbers at another exponent have the very same norm.
    squares = (times_power_of_two(array, -shift) ** 2).sum(-1)
    none = largest == 0.0
    logs = 0.5 * xp.log10(xp.where(none, xp.ones_like(squares), squares))
    logs = logs + as_float64(shift + exponent) * LOG10_2
    return xp.where(none, xp.full_like(logs, -np.inf), logs)


def checked(log10: Array) -> Array:
    """The same logs.

    Raises:
        FloatingPointError: one is NaN or +inf.
    """
    if np.isnan(log10).any() or np.isposinf(log10).any():
        raise FloatingPointError("a product of Jacobians left the floating-point range within one step")
    return log10
