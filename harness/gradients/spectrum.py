"""All singular values of ∂s_t/∂s_k, the small ones too.

A scaled product followed by one SVD has the large singular values right, and all that lie below 1e-16 of the
largest wrong.  Here orthogonal iteration sweeps through the factors, forwards by J and backwards by Jᵀ, until
the right singular vectors have settled; what is then left is a triangular product whose rows have exponents
of their own, and one-sided Jacobi rotations take its singular values to full relative precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.gradients.arguments import checked_anchor, checked_lag
from harness.gradients.factors import Factors
from harness.gradients.jacobi import log10_singular_values
from harness.gradients.namespace import Space, as_float64, as_int64, integer_zeros, namespace_of
from harness.gradients.pulled import Pulled, log10_norms
from harness.gradients.scaled import ZERO_EXPONENT, Scaled, power_of_two
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import Array, Trajectory, run_forward
from implementations.contract import Parameters

Native = Any

MAX_SWEEPS = 6
SETTLED = 0.05
"""Sweeps stop when no log10|diag R| moves by more: the rotations finish what is left."""
CHUNK = 64
"""Steps whose zeros are looked for together."""


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
    with threads_for(trajectory.state_size):
        return _spectra(trajectory, range(t - steps + 1, t + 1))


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


def _spectra(trajectory: Trajectory, steps: range) -> Array:
    """log10 of the singular values, (B, S), descending; −inf where structure forces a zero."""
    space, forwards, backwards = trajectory.space, Factors(trajectory, ascending=True), Factors(trajectory)

    def jacobian(j: int) -> Native:
        return as_float64(forwards.step.dense(*forwards.at(j)))

    def transposed(j: int) -> Native:
        return as_float64(backwards.step.dense(*backwards.at(j))).swapaxes(1, 2)

    chunks = (steps[i : i + CHUNK] for i in range(0, len(steps), CHUNK))
    zeros = any(_has_zeros([jacobian(j) for j in chunk]) for chunk in chunks)
    structure = _Structure(trajectory, zeros)
    end, product = _sweep(jacobian, steps, structure.identity(), structure)
    for _ in range(MAX_SWEEPS):
        before = _log10_diagonal(space, product)
        start, _ = _sweep(transposed, reversed(steps), end, structure)
        end, product = _sweep(jacobian, steps, start, structure)
        if np.allclose(_log10_diagonal(space, product), before, rtol=0.0, atol=SETTLED):
            break
    return log10_singular_values(Scaled(product.parts[0], product.exponent))


@dataclass(frozen=True)
class Basis:
    """Args:
    q: (B, S, S), the first `count` columns of each orthonormal, the others zero.
    count: (B,).
    """

    q: Native
    count: Native


class _Structure:
    """What rows and columns of zeros do.

    They lower the rank for certain: those directions are dropped, so that they become exact zeros and not
    rounding errors.  Arrays keep their shape; what is dropped is zero in them.

    Args:
        zeros: whether any factor has such rows or columns; a QR a step is enough where none has.
    """

    def __init__(self, trajectory: Trajectory, zeros: bool) -> None:
        self.zeros, self._space, self._xp = zeros, trajectory.space, trajectory.space.xp
        self._eye = as_float64(self._space.put(np.eye(trajectory.state_size)))
        self._batch = trajectory.batch_size
        self._every = np.arange(self._batch)[:, None]

    def identity(self) -> Basis:
        q = self._xp.stack([self._eye] * self._batch)
        return Basis(q, integer_zeros((self._batch,), q) + len(self._eye))

    def live(self, count: Native) -> Native:
        """Which of S places lie below `count`, (B, S)."""
        return self._xp.cumsum(self._xp.ones_like(self._eye[:1]), 1) <= count[:, None]

    def narrows(self, basis: Basis, rows: Native) -> bool:
        """Whether fewer rows than columns are left; on a device it is cheaper to say yes than to look."""
        return not self._space.is_numpy or bool((rows.sum(1) < basis.count).any())

    def qr_of_rows(self, basis: Basis, rows: Native) -> tuple[Basis, Native]:
        """QR of q, of which only these rows (B, S) count; no more columns are left than there are such rows.

        With those rows on top, reflections leave the zeros below as they are.
        """
        xp = self._xp
        order = _alive_first(rows)
        top = (basis.q * rows[..., None])[self._every, order]
        q, r = xp.linalg.qr(top)
        count = xp.minimum(basis.count, rows.sum(1))
        live = self.live(count)
        placed = xp.zeros_like(q)
        placed[self._every, order] = q * live[:, None, :]
        return Basis(placed, count), r * live[..., None]


def _alive_first(rows: Native) -> Native:
    """The permutation that brings True to the front, (B, S), the rest in order."""
    if isinstance(rows, np.ndarray):
        return np.argsort(~rows, axis=1, kind="stable")
    return (~rows).int().argsort(dim=1, stable=True)


def _has_zeros(matrices: Sequence[Native]) -> bool:
    some = namespace_of(matrices[0]).stack(list(matrices)) != 0.0
    return not bool((some.any(-1) & some.any(-2)).all())


def _sweep(
    factor: Callable[[int], Native], steps: Iterable[int], basis: Basis, structure: _Structure
) -> tuple[Basis, Pulled]:
    """Q_n R = F_n … F_1 Q_0 by one QR a step: Q_n and R, with an exponent per row."""
    live = structure.live(basis.count)
    product = Pulled.of([structure.identity().q * live[..., None]])
    support = (basis.q != 0.0).any(2)
    for j in steps:
        matrix = factor(j)
        if structure.zeros:
            some = matrix != 0.0
            columns = some.any(1) & support
            if structure.narrows(basis, columns):
                basis, r = structure.qr_of_rows(basis, columns)
                product = _left_multiply(r, product)
            support = (some & columns[:, None, :]).any(2)
            basis, r = structure.qr_of_rows(Basis(matrix @ basis.q, basis.count), support)
        else:
            q, r = namespace_of(matrix).linalg.qr(matrix @ basis.q)
            basis = Basis(q, basis.count)
        product = _left_multiply(r, product)
    return basis, product


def _log10_diagonal(space: Space, product: Pulled) -> Array:
    """(B, S), in NumPy."""
    diagonal = product.parts[0].diagonal(0, -2, -1)
    return space.get(log10_norms(diagonal[..., None], product.exponent))


def _left_multiply(matrix: Native, product: Pulled) -> Pulled:
    """matrix · product, each row of the result at an exponent of its own."""
    xp = namespace_of(matrix)
    mantissa, own = xp.frexp(matrix)
    exponents = as_int64(own) + product.exponent[:, None, :]
    exponents = xp.where(matrix == 0.0, xp.full_like(exponents, ZERO_EXPONENT), exponents)
    top = xp.amax(exponents, -1)
    weights = mantissa * power_of_two(exponents - top[..., None], matrix)
    return Pulled.of([weights @ product.parts[0]], top)
