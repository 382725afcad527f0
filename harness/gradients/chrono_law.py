"""How the cell path of a chrono LSTM falls with the lag, in closed form, where its gates see biases alone.

A unit has b_f = ln u and b_i = −ln u with u ~ U[1, M], M = t_max − 1: it keeps f = u/(1+u) of its cell per
step and lets i = 1/(1+u) = 1 − f in.  Over the units, du = df/(1−f)², so that root mean squares are

    kept      ∂c_t/∂c_k: f^n             ½·log E f^(2n),        (M−1)·E f^(2n) = ∫ f^(2n)/(1−f)² df
    written   ∂c_t/∂g_{k+1}: i f^(n−1)   (M−1)·E i² f^(2n−2) = ∫ f^(2n−2) df
                                         = [(M/(M+1))^(2n−1) − (1/2)^(2n−1)]/(2n−1)

with f from 1/2 to M/(M+1).  What a step *writes* into the cell therefore falls as lag^(−1/2), a power law:
b_i = −b_f weighs a unit by just what its time constant makes it rare.  It holds from a few steps, where 2^−2n
is gone, to about t_max/10; the local exponent is −1/2 − n/t_max, and beyond t_max the fall is exponential.
What the cell *keeps* follows no power law at any lag: with n far above 1 its mean square is the exponential
integral E₂(2n/M), flat until about t_max/10 and exponential beyond t_max.

One bias for all units gives one exponential, for both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PATHS = ("kept", "written")
_NODES = 256


def log10_chrono_law(t_max: float, lags: Iterable[int], *, path: str) -> NDArray[np.float64]:
    """log10 of the root mean square over units, (L,).

    Args:
        t_max: the initialization's option.
        lags: t − k >= 0.
        path: "kept", ∂c_t/∂c_k; or "written", what the candidate of step k + 1 left in c_t: −inf at lag 0.

    Source of the initialization: Tallec & Ollivier 2018, "Can recurrent neural networks warp time?"; the
    integrals are worked out above.

    Raises:
        ValueError: an unknown path; t_max below 2 or not finite; a negative lag.
    """
    if path not in PATHS:
        raise ValueError(f"path must be one of {', '.join(PATHS)}, got {path!r}")
    if not (math.isfinite(t_max) and t_max >= 2.0):
        raise ValueError(f"t_max must be finite and >= 2 (steps), got {t_max}")
    steps = np.asarray(list(lags), dtype=np.float64)
    if (steps < 0).any():
        raise ValueError(f"lags must not be negative, got {steps.min():g}")
    most = t_max - 1.0
    squares = _kept(most, 2.0 * steps) if path == "kept" else _written(most, 2.0 * steps - 1.0)
    return squares / (2.0 * math.log(10.0))


def _written(most: float, power: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of [(M/(M+1))^p − 2^−p]/(p·(M−1)), p = 2n − 1; −inf at lag 0."""
    if most == 1.0:  # every unit has u = 1
        return np.where(power > 0, -(power + 1.0) * math.log(2.0), -np.inf)
    longest = -math.log1p(1.0 / most)
    gap = longest + math.log(2.0)
    later = np.maximum(power, 1.0)
    found = later * longest + np.log(-np.expm1(-later * gap)) - np.log(later * (most - 1.0))
    return np.where(power > 0, found, -np.inf)


def _kept(most: float, power: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of ∫_1^M (u/(1+u))^p du/(M−1), by Gauss and Legendre.

    In y = 1/u − 1/M the integrand falls on the scale 1/(p + M); ln(1 + (p + M) y) spreads all scales evenly.
    """
    if most == 1.0:
        return -power * math.log(2.0)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    rate = (power + most)[:, None]
    length = np.log1p(rate * (1.0 - 1.0 / most))
    z = 0.5 * length * (nodes + 1.0)
    y = np.expm1(z) / rate
    inverse = 1.0 / most + y
    # f^p relative to its largest value, which stands outside the sum.
    relative = np.exp(-power[:, None] * np.log1p(y / (1.0 + 1.0 / most)))
    total = np.sum(weights * relative / inverse**2 * np.exp(z) / rate, axis=1) * 0.5 * length[:, 0]
    return -power * math.log1p(1.0 / most) + np.log(total / (most - 1.0))
