"""What a Lyapunov spectrum says of the set that a network's states settle on: its dimension and its entropy.

The one idea: a volume spanned by the first j directions grows at λ₁ + … + λ_j; the number of directions for
which that sum just comes to zero is the dimension, fractions included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def kaplan_yorke_dimension(exponents: ArrayLike) -> float:
    """D = j + (λ₁ + … + λ_j)/|λ_{j+1}| with j the largest number of exponents whose sum is not negative.

    0 where λ₁ < 0 (states forget where they started), S where the sum of all is not negative.

    Args:
        exponents: (S,) descending, nats per step; −inf allowed.

    Source: Kaplan & Yorke 1979, "Chaotic behavior of multidimensional difference equations".

    Raises:
        ValueError: no exponents, NaN, or exponents that ascend.
    """
    values = _checked(exponents)
    growing = np.flatnonzero(np.cumsum(values) >= 0.0)
    if not len(growing):
        return 0.0
    j = int(growing[-1]) + 1
    if j == len(values):
        return float(j)
    return j + float(values[:j].sum() / -values[j])


def entropy_rate(exponents: ArrayLike) -> float:
    """The sum of the positive exponents, nats per step: a bound on how fast a network makes uncertainty.

    Args:
        exponents: (S,) descending, nats per step.

    Source: Pesin 1977, "Characteristic Lyapunov exponents and smooth ergodic theory"; the bound, Ruelle 1978.

    Raises:
        ValueError: no exponents, NaN, or exponents that ascend.
    """
    values = _checked(exponents)
    return float(values[values > 0.0].sum())


def _checked(exponents: ArrayLike) -> np.ndarray:
    values = np.asarray(exponents, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"exponents must be (S,) with S >= 1, got shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError(f"exponents must be numbers, got NaN at index {int(np.isnan(values).argmax())}")
    if (values[1:] > values[:-1]).any():
        raise ValueError("exponents must descend")
    return values
