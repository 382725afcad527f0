"""All singular values of ∂s_t/∂s_k, the small ones too.

A scaled product followed by one SVD has the large singular values right, and all that lie below 1e-16 of the
largest wrong.  Here orthogonal iteration sweeps through the factors, forwards by J and backwards by Jᵀ, until
the right singular vectors have settled; what is then left is a triangular product whose rows have exponents
of their own, and one-sided Jacobi rotations take its singular values to full relative precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from harness.gradients.arguments import checked_anchor, checked_lag
from harness.gradients.jacobi import log10_singular_values
from harness.gradients.scaled import ZERO_EXPONENT, Scaled, log10_of, power_of_two
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import Array, Trajectory, run_forward
from implementations.contract import Parameters

MAX_SWEEPS = 6
SETTLED = 0.05
"""Sweeps stop when no log10|diag R| moves by more: the rotations finish what is left."""


def singular_spectrum(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    anchor: int | None = None,
    lag: int,
    dtype: str = "float64",
    device: str = "cpu",
) -> Array:
    """log10 of the singular values of ∂s_t/∂s_k, (B, S), descending; −inf for an exact zero.

    Exact zeros are those that zero rows and columns of the Jacobians force (dead or saturated units).

    Args:
        inputs: (T, B, I).
        initial_state: tuple of (B, H); zeros where None.
        anchor: t, in 0…T; T where None.
        lag: t − k, in 0…t.
        dtype, device: see `run_forward`; the sweeps are in float64 whatever the dtype of the Jacobians.

    Source: the sweeps are those of Stewart 1997, "On graded QR decompositions of products of matrices"; the
    rotations, Demmel & Veselić 1992, "Jacobi's method is more accurate than QR".

    Raises:
        ValueError: what `run_forward` refuses; an anchor or lag that does not exist.
        ForwardDiverged: the network reached inf or NaN before the anchor.
    """
    t = checked_anchor(anchor, len(inputs))
    steps = checked_lag(lag, t)
    trajectory = run_forward(
        cell, parameters, inputs, initial_state=initial_state, steps=t, dtype=dtype, device=device
    )
    size = trajectory.state_size
    found = np.full((trajectory.batch_size, size), -np.inf)
    with threads_for(size):
        for b in range(trajectory.batch_size):
            values = _spectrum(trajectory.sample(b), range(t - steps + 1, t + 1), size)
            found[b, : len(values)] = values
    return found


def log10_condition_number(spectrum: Array) -> Array:
    """log10 of the largest over the smallest singular value; +inf where some are zero, NaN where all are.

    Args:
        spectrum: (…, S), log10 singular values, descending.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(spectrum[..., 0] - spectrum[..., -1])


def log_volume(spectrum: Array) -> Array:
    """ln|det ∂s_t/∂s_k| in nats: how a volume of states has grown; −inf where a direction is lost.

    Args:
        spectrum: (…, S), log10 singular values.
    """
    return np.asarray(spectrum.sum(axis=-1) * np.log(10.0))


def _spectrum(sample: Trajectory, steps: range, size: int) -> Array:
    """log10 of the singular values that structure does not force to be zero, descending."""

    def jacobian(j: int) -> Array:
        return sample.jacobian(j)[0].astype(np.float64)

    end, product = _sweep(jacobian, steps, np.eye(size))
    for _ in range(MAX_SWEEPS if end.size else 0):
        before = _log10_diagonal(product)
        start, _ = _sweep(lambda j: jacobian(j).T, reversed(steps), end)
        end, product = _sweep(jacobian, steps, start)
        if np.allclose(_log10_diagonal(product), before[: end.shape[1]], rtol=0.0, atol=SETTLED):
            break
    return log10_singular_values(product)


def _sweep(factor: Callable[[int], Array], steps: Iterable[int], start: Array) -> tuple[Array, Scaled]:
    """Q_n R = F_n … F_1 Q_0 by one QR a step: Q_n (S, n) and R, with an exponent per row.

    Rows and columns of zeros in a factor lower the rank for certain: those directions are dropped there, so
    that they become exact zeros and not rounding errors.
    """
    q, product, support = start, Scaled.of(np.eye(start.shape[1])), start.any(axis=1)
    for j in steps:
        matrix = factor(j)
        columns = matrix.any(axis=0) & support
        if columns.sum() < q.shape[1]:
            q, r = _qr_of_rows(q, columns)
            product = _left_multiply(r, product)
        support = matrix[:, columns].any(axis=1)
        q, r = _qr_of_rows(matrix @ q, support)
        product = _left_multiply(r, product)
    return q, product


def _qr_of_rows(matrix: Array, alive: Any) -> tuple[Array, Array]:
    """QR of a matrix of which only the rows `alive` count: no more columns in Q than there are such rows."""
    reduced, r = np.linalg.qr(matrix[alive])
    q = np.zeros((len(matrix), reduced.shape[1]))
    q[alive] = reduced
    return q, r


def _log10_diagonal(product: Scaled) -> Array:
    return log10_of(np.abs(np.diagonal(product.mantissa)), product.exponent)


def _left_multiply(matrix: Array, product: Scaled) -> Scaled:
    """matrix · product, each row of the result at an exponent of its own."""
    exponents = np.where(matrix == 0.0, ZERO_EXPONENT, np.frexp(matrix)[1] + product.exponent)
    top = exponents.max(axis=1, initial=ZERO_EXPONENT)
    weights = np.frexp(matrix)[0] * power_of_two(exponents - top[:, None], matrix)
    return Scaled(weights @ product.mantissa, top).normalised()
