"""Large random tanh networks in mean-field theory: how far they drive a perturbation apart.

h_t = tanh(a_t), a_t = W h_{t−1} + ξ_t with W iid N(0, g²/N) and ξ white Gaussian of variance σ² per unit.
For large N the pre-activations are Gaussian of variance q, one number that solves a fixed-point equation, and
the largest exponent follows from it.  It is the same for the pre-activation form, h' = W tanh(h) + ξ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.gradients.trajectory import Array

_STEP = 0.05
_GRID = np.arange(-400, 401) * _STEP
"""Nodes of the trapezoidal rule, in units of the narrower of the two widths involved, those of N(0, 1) and of
1 − tanh²(√q z).  The integrands are analytic in a strip of half-width π/2 there, so that the rule's error
falls as exp(−π²/step): far below rounding."""


@dataclass(frozen=True)
class MeanField:
    """Args:
    variance: q, of a pre-activation.
    chi: χ = g²·E sech⁴(√q z), by which the mean square of a perturbation grows in one step.
    lyapunov_exponent: λ₁ = ½·ln χ, nats per step; vanishing below 0, chaos or explosion above.
    """

    variance: float
    chi: float
    lyapunov_exponent: float


def tanh_mean_field(gain: float, input_variance: float = 0.0) -> MeanField:
    """The fixed point q = g²·E tanh²(√q z) + σ², z ~ N(0, 1), and χ there.

    The right-hand side is concave in q, so that there is one solution q > 0 wherever there is any; without
    input and with g <= 1 there is q = 0 alone.

    Args:
        gain: g > 0, finite.
        input_variance: σ² >= 0, finite, of what inputs and biases add to each pre-activation.

    Source: Sompolinsky, Crisanti & Sommers 1988, "Chaos in random neural networks"; in discrete time, with
    noise: Molgedey, Schuchhardt & Schuster 1992, "Suppressing chaos in neural networks by noise".

    Raises:
        ValueError: a gain that is not positive, an input variance below 0, or either not finite.
    """
    gain = float(gain)
    if not (math.isfinite(gain) and gain > 0.0):
        raise ValueError(f"gain must be finite and > 0, got {gain}")
    variance = _fixed_point(gain, _checked_variance(input_variance))
    chi = gain**2 * mean_sech_fourth(variance)
    return MeanField(variance, chi, 0.5 * math.log(chi))


def edge_of_chaos_gain(input_variance: float = 0.0) -> float:
    """The gain at which χ = 1 under input of variance σ²: 1 without input, more with it.

    Along the line, q is the free parameter: g² = 1/E sech⁴ and σ² = q − g²·E tanh², which grows with q.

    Args:
        input_variance: σ² >= 0, finite.

    Raises:
        ValueError: an input variance below 0 or not finite.
    """
    from scipy.optimize import brentq

    wanted = _checked_variance(input_variance)
    if wanted == 0.0:
        return 1.0

    def excess(variance: float) -> float:
        return variance - mean_tanh_squared(variance) / mean_sech_fourth(variance) - wanted

    # σ² = 4q³/3 for small q: a start from which doubling finds the bracket at once.
    upper = max(wanted, wanted ** (1.0 / 3.0))
    while excess(upper) < 0.0:
        upper *= 2.0
    variance = brentq(excess, 0.0, upper, xtol=1e-300, rtol=1e-14)
    return 1.0 / math.sqrt(mean_sech_fourth(variance))


def mean_tanh_squared(variance: float) -> float:
    """E tanh²(√q z), z ~ N(0, 1), at q = `variance`, to 1e-13."""
    # For large q the integrand is 1 but in a narrow valley, which is what the grid resolves.
    if variance > 1.0:
        return 1.0 - _mean(lambda x: np.cosh(x) ** -2.0, variance)
    return _mean(lambda x: np.tanh(x) ** 2, variance)


def mean_sech_fourth(variance: float) -> float:
    """E sech⁴(√q z), z ~ N(0, 1): the mean square slope of tanh at q = `variance`, to 1e-13."""
    return _mean(lambda x: np.cosh(x) ** -4.0, variance)


def _mean(function: Callable[[Array], Array], variance: float) -> float:
    """E function(√q z)."""
    root = math.sqrt(variance)
    width = 1.0 / max(1.0, root)
    z = width * _GRID
    density = np.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi)
    return float(np.sum(function(root * z) * density)) * width * _STEP


def _fixed_point(gain: float, input_variance: float) -> float:
    from scipy.optimize import brentq

    square = gain**2
    # tanh²x >= x² − 2x⁴/3 puts the solution above this bound, and E tanh² <= 1 below the other.
    lower = max(input_variance, (square - 1.0) / (2.0 * square))
    if lower <= 0.0:
        return 0.0

    def excess(variance: float) -> float:
        return square * mean_tanh_squared(variance) + input_variance - variance

    upper = square + input_variance
    if excess(lower) <= 0.0:
        return lower
    return float(brentq(excess, lower, upper, xtol=1e-300, rtol=1e-14))


def _checked_variance(input_variance: float) -> float:
    if not (math.isfinite(input_variance) and input_variance >= 0.0):
        raise ValueError(f"input_variance must be finite and >= 0, got {input_variance}")
    return float(input_variance)
