"""The largest singular value of matrices that resemble each other, certified.

From one lag to the next the leading left singular vector of P hardly moves, so that a few Lanczos steps on
G = P Pᵀ from the last one suffice.  They are certified: with Ritz values θ₁ > θ₂ > … of the m steps, ρ the
residual norm of the first Ritz vector and β_m what couples the m vectors to all others,

    θ₁ ≤ σ₁² ≤ θ₁ + ρ²/(θ₁ − μ),        μ = max(θ₂, ‖P‖_F² − Σθ) + β_m,

where μ bounds G over all that is orthogonal to the first Ritz vector: no direction can be overlooked.  Where
that does not settle (leading values close to each other, or many that count), all eigenvalues of G are
computed instead: its largest is right to rounding.

Source: the bound is that of Kato and Temple, the steps are those of Lanczos with full orthogonalisation;
Parlett 1998, "The symmetric eigenvalue problem", chapters 10 and 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.gradients.namespace import Space, as_float64

Native = Any

DIRECT_ROWS = 20
"""Up to so many rows all eigenvalues are as quick."""
STEPS = (4, 7, 11)
"""After so many steps the certificate is asked for."""
CERTIFIED = 5e-11
"""Relative error of σ₁² that it allows."""
EXHAUSTED = 1e-12
"""Of the first step's value: a smaller β_m is rounding."""


class LargestSingularValue:
    """σ₁ of one batch of matrices after another.

    Args:
        samples: B; of the n = lags·B matrices of a batch, every B-th belongs to the same sample.
    """

    def __init__(self, space: Space, samples: int) -> None:
        self._space, self._xp, self._samples = space, space.xp, samples
        self._vectors: Native = None

    def __call__(self, matrices: Native, totals: Native) -> Native:
        """σ₁² of each matrix, (n, R, C) -> (n,), in float64.

        Args:
            totals: (n,), ‖P‖_F².
        """
        matrices, totals = as_float64(matrices), as_float64(totals)
        rows = matrices.shape[1]
        if rows <= DIRECT_ROWS:
            return self._direct(matrices)
        if self._vectors is None or self._vectors.shape[1] != rows:
            weights = as_float64(self._space.put(np.cos(np.arange(matrices.shape[2]))))
            self._vectors = matrices[-self._samples :] @ weights
        values, certified = self._lanczos(matrices, totals)
        if not bool(certified.all()):
            values[~certified] = self._direct(matrices[~certified])
        return values

    def _direct(self, matrices: Native) -> Native:
        gram = matrices @ matrices.swapaxes(1, 2)
        every = range(gram.shape[1])
        mean = gram.diagonal(0, 1, 2).sum(1) / gram.shape[1]
        # All singular values equal (the identity, an orthogonal matrix): σ₁² lies within ‖G − mean‖_F of it.
        spread = gram + 0.0
        spread[:, every, every] -= mean[:, None]
        if bool(((spread**2).sum((1, 2)) <= (CERTIFIED * mean) ** 2).all()):
            return mean
        return self._xp.linalg.eigvalsh(gram)[:, -1]

    def _lanczos(self, matrices: Native, totals: Native) -> tuple[Native, Native]:
        """θ₁ (n,) and whether it is certified (n,)."""
        xp, transposed = self._xp, matrices.swapaxes(1, 2)
        count, rows, _ = matrices.shape
        last, tiny = self._vectors, 1e-300
        last = last / (xp.sqrt((last**2).sum(1)) + tiny)[:, None]
        lags = count // self._samples
        vector = xp.stack([last] * lags).reshape(count, rows, 1)
        basis = vector
        projected = xp.zeros_like(matrices[:, : STEPS[-1] + 1, : STEPS[-1]])
        for step in range(1, STEPS[-1] + 1):
            image = matrices @ (transposed @ vector)
            along = basis.swapaxes(1, 2) @ image
            image = image - basis @ along
            image = image - basis @ (basis.swapaxes(1, 2) @ image)
            beta = xp.sqrt((image**2).sum(1))
            projected[:, :step, step - 1] = along[:, :, 0]
            projected[:, step - 1, :step] = along[:, :, 0]
            if step in STEPS:
                values, vectors = xp.linalg.eigh(projected[:, :step, :step])
                first = values[:, -1]
                margin = CERTIFIED * first
                others = xp.maximum(values[:, -2], totals - values.sum(1)) + beta[:, 0] + margin
                residual = beta[:, 0] * vectors[:, -1, -1]
                certified = (residual**2 <= CERTIFIED * first * (first - others)) & (first >= others)
                hopeless = totals - values.sum(1) > 4.0 * first
                if bool((certified | hopeless).all()):
                    break
            # What is left at rounding level is noise and no direction; the vectors so far are all there is.
            noise = beta <= EXHAUSTED * projected[:, 0, :1]
            vector = xp.where(noise, xp.zeros_like(beta), 1.0 / (beta + tiny))[:, None] * image
            basis = xp.concatenate([basis, vector], -1)
        self._vectors = (basis[-self._samples :, :, :step] @ vectors[-self._samples :, :, -1:])[:, :, 0]
        return first, certified
