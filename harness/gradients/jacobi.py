"""Singular values by one-sided Jacobi rotations, of matrices whose rows span any range of magnitudes.

Rows are rotated in pairs until all are orthogonal; their norms are then the singular values.  Every quantity
is relative to its row, so that a singular value of 1e-1000 beside one of 1 has all its digits.
"""

from __future__ import annotations

import numpy as np

from harness.gradients.scaled import Scaled, log10_of, power_of_two
from harness.gradients.trajectory import Array

MAX_SWEEPS = 60
COSINE_TOLERANCE = 1e-14


def log10_singular_values(matrix: Scaled) -> Array:
    """log10 of the singular values of (R, C), descending, (R,); −inf for a zero row.

    Source: Hestenes 1958; Demmel & Veselić 1992, "Jacobi's method is more accurate than QR".

    Raises:
        ArithmeticError: the rotations did not come to rest.
    """
    matrix = matrix.normalised()
    largest = 0.0
    for _ in range(MAX_SWEEPS):
        largest = 0.0
        for first, second in _rounds(len(matrix.mantissa)):
            matrix, cosine = _rotate(matrix, first, second)
            largest = max(largest, cosine)
        if largest <= COSINE_TOLERANCE:
            norm = np.linalg.norm(matrix.mantissa, axis=1)
            return np.sort(log10_of(norm, matrix.exponent))[::-1]
    raise ArithmeticError(f"Jacobi rotations left a cosine of {largest:.1e} after {MAX_SWEEPS} sweeps")


def _rounds(count: int) -> list[tuple[Array, Array]]:
    """A round-robin: every pair of rows once, in rounds of disjoint pairs."""
    players = list(range(count)) + [-1] * (count % 2)
    half = len(players) // 2
    rounds = []
    for _ in range(len(players) - 1):
        pairs = [
            (a, b) for a, b in zip(players[:half], reversed(players[half:]), strict=True) if -1 not in (a, b)
        ]
        rounds.append((np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])))
        players = [players[0], players[-1], *players[1:-1]]
    return [found for found in rounds if len(found[0])]


def _rotate(matrix: Scaled, first: Array, second: Array) -> tuple[Scaled, float]:
    """Make each pair of rows orthogonal; the largest cosine that was met."""
    mantissa, exponent = matrix.mantissa, matrix.exponent
    norms = np.sum(mantissa**2, axis=1)
    swap = log10_of(norms[first], 2 * exponent[first]) < log10_of(norms[second], 2 * exponent[second])
    p, q = np.where(swap, second, first), np.where(swap, first, second)
    a, b, g = norms[p], norms[q], np.sum(mantissa[p] * mantissa[q], axis=1)
    product = np.sqrt(a * b)
    cosine = np.divide(np.abs(g), product, out=np.zeros_like(g), where=product > 0.0)
    turn = cosine > COSINE_TOLERANCE / 10
    if not turn.any():
        return matrix, float(cosine.max())
    p, q, a, b, g = p[turn], q[turn], a[turn], b[turn], g[turn]
    # ratio = 2^(e_q − e_p) may be 0: the rotation's tangent is then 0 too, but not tangent / ratio.
    ratio = power_of_two(exponent[q] - exponent[p], mantissa)
    z = (b * ratio**2 - a) / (2.0 * g)
    slope = np.where(z < 0.0, -1.0, 1.0) / (np.abs(z) + np.hypot(ratio, z))
    tangent = slope * ratio
    cos = (1.0 / np.sqrt(1.0 + tangent**2))[:, None]
    larger, smaller = mantissa[p], mantissa[q]
    mantissa = mantissa.copy()
    mantissa[p] = cos * (larger - (tangent * ratio)[:, None] * smaller)
    mantissa[q] = cos * (slope[:, None] * larger + smaller)
    return Scaled(mantissa, exponent).normalised(), float(cosine.max())
