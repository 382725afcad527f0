"""Singular values by one-sided Jacobi rotations, of matrices whose rows span any range of magnitudes.

Rows are rotated in pairs until all are orthogonal; their norms are then the singular values.  Every quantity
is relative to its row, so that a singular value of 1e-1000 beside one of 1 has all its digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.gradients.namespace import namespace_of
from harness.gradients.pulled import Pulled, log10_norms
from harness.gradients.scaled import Scaled, power_of_two
from harness.gradients.trajectory import Array

Native = Any

MAX_SWEEPS = 60
COSINE_TOLERANCE = 1e-14


def log10_singular_values(matrices: Scaled) -> Array:
    """log10 of the singular values of each (…, R, C), descending, (…, R), in NumPy; −inf for a zero row.

    Source: Hestenes 1958; Demmel & Veselić 1992, "Jacobi's method is more accurate than QR".

    Raises:
        ArithmeticError: the rotations did not come to rest.
    """
    xp, shape = namespace_of(matrices.mantissa), matrices.mantissa.shape
    matrix = matrices.mantissa.reshape(-1, *shape[-2:]), matrices.exponent.reshape(-1, shape[-2])
    found = Pulled.of([matrix[0]], matrix[1])
    rounds = _rounds(shape[-2])
    largest = 0.0
    for _ in range(MAX_SWEEPS):
        cosines = []
        for first, second in rounds:
            found, cosine = _rotate(found, first, second)
            cosines.append(cosine)
        largest = float(xp.stack(cosines).max()) if cosines else 0.0
        if largest <= COSINE_TOLERANCE:
            logs = log10_norms(found.parts[0], found.exponent)
            logs = logs if xp is np else logs.cpu().numpy()
            return np.sort(logs)[:, ::-1].reshape(shape[:-1])
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


def _rotate(matrix: Pulled, first: Array, second: Array) -> tuple[Pulled, Native]:
    """Make each pair of rows orthogonal, in all matrices alike; the largest cosine that was met."""
    (mantissa,), exponent = matrix.parts, matrix.exponent
    xp, every = namespace_of(mantissa), np.arange(len(mantissa))[:, None]
    size = log10_norms(mantissa, exponent)
    swap = size[:, first] < size[:, second]
    p, q = _chosen(swap, second, first), _chosen(swap, first, second)
    larger, smaller = mantissa[every, p], mantissa[every, q]
    a, b, g = (larger**2).sum(2), (smaller**2).sum(2), (larger * smaller).sum(2)
    product = xp.sqrt(a * b)
    none = product == 0.0
    cosine = xp.where(none, xp.zeros_like(g), xp.abs(g) / xp.where(none, xp.ones_like(g), product))
    turn = cosine > COSINE_TOLERANCE / 10
    if xp is np and not turn.any():
        return matrix, cosine.max()
    # ratio = 2^(e_q − e_p) may be 0: the rotation's tangent is then 0 too, but not tangent / ratio.
    ratio = power_of_two(exponent[every, q] - exponent[every, p], mantissa)
    z = (b * ratio**2 - a) / (2.0 * xp.where(turn, g, xp.ones_like(g)))
    slope = xp.where(z < 0.0, -xp.ones_like(z), xp.ones_like(z)) / (xp.abs(z) + xp.hypot(ratio, z))
    slope = xp.where(turn, slope, xp.zeros_like(slope))[..., None]
    ratio = ratio[..., None]
    cos = 1.0 / xp.sqrt(1.0 + (slope * ratio) ** 2)
    turned = mantissa + 0.0
    turned[every, p] = cos * (larger - slope * ratio * ratio * smaller)
    turned[every, q] = cos * (slope * larger + smaller)
    return Pulled.of([turned], exponent), cosine.max()


def _chosen(where: Native, one: Array, other: Array) -> Native:
    """`one` or `other` (P,) for each of (B, P), where the array lives."""
    if isinstance(where, np.ndarray):
        return np.where(where, one, other)
    xp = namespace_of(where)
    return xp.where(where, *(xp.as_tensor(array, device=where.device) for array in (one, other)))
