"""Products of independent Gaussian matrices: the linear network whose weights are drawn anew at every step.

P = W_n … W_1 with every W iid N(0, g²/N) is what is exactly solvable at finite N; a random network's
product, whose factors share one W, comes near it where the activation forgets quickly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from harness.gradients.trajectory import Array


def random_product_exponents(size: int, gain: float = 1.0) -> Array:
    """Lyapunov exponents λ_i = ln g + ½(ln(2/N) + ψ((N − i + 1)/2)), i = 1…N, nats per step, (N,).

    They descend; ψ is the digamma function.  For large N, λ_i is near ln g + ½·ln(1 − (i−1)/N).

    Args:
        size: N >= 1.
        gain: g > 0.

    Source: Newman 1986, "The distribution of Lyapunov exponents: exact results for random matrices".

    Raises:
        ValueError: a size below 1, a gain that is not positive.
    """
    from scipy.special import digamma

    _check(size, gain)
    i = np.arange(1, size + 1)
    return math.log(gain) + 0.5 * (math.log(2.0 / size) + digamma((size - i + 1) / 2.0))


def log10_random_product_norm(size: int, gain: float, lags: Iterable[int]) -> Array:
    """log10 of √(E‖P‖_F²) = √N·g^lag at every lag, exactly, (L,).

    An annealed mean: typical norms fall behind it by a rate that grows with lag/N, as λ₁ < ln g says.

    Raises:
        ValueError: a size below 1, a gain that is not positive.
    """
    _check(size, gain)
    return 0.5 * math.log10(size) + np.asarray(list(lags), dtype=np.float64) * math.log10(gain)


def _check(size: int, gain: float) -> None:
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if not (math.isfinite(gain) and gain > 0.0):
        raise ValueError(f"gain must be finite and > 0, got {gain}")
