"""The largest singular value of matrices that resemble each other, certified.

A few Lanczos steps on G = P Pᵀ find σ₁² from below.  With T_m their tridiagonal matrix, β what couples its
m vectors to all others, and r any bound on the norm of G among those others, G is at most
[[T_m, βe], [βeᵀ, r·I]], so that

    λ_max(T_m) ≤ σ₁² ≤ λ_max([[T_m, β e_m], [β e_mᵀ, r]]).

The trace and the Frobenius norm of G, less what T_m and β have of them, give r: no direction can be
overlooked, however the steps began, and leading values close to each other do no harm.  Where the two ends do
not meet (too many values count, so that r is as large as σ₁²), all eigenvalues of G are computed instead: its
largest is right to rounding.

In NumPy these steps are many small calls; `compiled_lanczos` takes them in one, where `kernels` says so.

Source: the steps are those of Lanczos with full orthogonalisation, Parlett 1998, "The symmetric eigenvalue
problem", chapter 13; an upper end from one more row of T is the idea of Gauss–Radau rules, Golub & Meurant
2010, "Matrices, moments and quadrature", chapter 6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.gradients.namespace import Space, as_float64, as_int64
from harness.gradients.native import address
from harness.gradients.scaled import power_of_two

Native = Any

DIRECT_ROWS = 20
"""Up to so many rows all eigenvalues are as quick."""
FEWEST_STEPS = 3
MOST_STEPS = 5
"""One in so many rows: beyond that all eigenvalues take no longer."""
CERTIFIED = 5e-11
"""Relative distance of the two ends of σ₁² that is allowed."""
CALM = 1e60
"""Traces between this and its inverse have squares far inside the range."""
TINY = 1e-300
EXHAUSTED = 1e-12
"""Of ‖G‖_F: a smaller β is rounding."""


class LargestSingularValue:
    """σ₁ of one batch of matrices after another.

    Args:
        samples: B; of the n = lags·B matrices of a batch, every B-th belongs to the same sample.
        kernel: `lanczos` of `compiled_lanczos`, in NumPy; None for array calls.
    """

    def __init__(self, space: Space, samples: int, kernel: Any = None) -> None:
        self._kernel: Any = kernel if space.is_numpy else None
        self._space, self._xp, self._samples = space, space.xp, samples
        self._vectors: Native = None
        """The leading left singular vectors of the last lag, (B, R)."""
        self._first_check = 3 * FEWEST_STEPS

    def __call__(self, matrices: Native) -> tuple[Native, Native]:
        """σ₁² and ‖·‖_F² of each matrix, (lags, B, R, C) -> (lags·B,) and (lags·B,), in float64."""
        matrices = as_float64(matrices)
        matrices = matrices.reshape(-1, *matrices.shape[2:])
        return self._by_gram(_gram(matrices)) if self._kernel is None else self._without_gram(matrices)

    def _without_gram(self, matrices: Native) -> tuple[Native, Native]:
        """By the kernel from P (n, R, C) alone, and from P Pᵀ where that does not do."""
        with np.errstate(all="ignore"):
            traces, values, certified = self._fused(matrices, False)
        if not self._calm(traces):
            return self._by_gram(_gram(matrices))
        if not certified.all():
            values[~certified] = self._of(_gram(matrices[~certified]), traces[~certified])
        return values, traces

    def _by_gram(self, gram: Native) -> tuple[Native, Native]:
        traces = gram.diagonal(0, 1, 2).sum(1)
        if self._calm(traces):
            return self._of(gram, traces), traces
        # By a power of two, which leaves every digit as it is.
        shift = as_int64(self._xp.frexp(traces)[1])
        down, up = power_of_two(-shift, traces), power_of_two(shift, traces)
        return self._of(gram * down[:, None, None], traces * down) * up, traces

    @staticmethod
    def _calm(traces: Native) -> bool:
        return bool((traces < CALM).all()) and bool((traces > 1.0 / CALM).all())

    def _of(self, gram: Native, traces: Native) -> Native:
        """The largest eigenvalues (n,) of G (n, R, R)."""
        if gram.shape[1] <= DIRECT_ROWS:
            return self._direct(gram)
        values, certified = (
            self._lanczos(gram, traces) if self._kernel is None else self._fused(gram, True)[1:]
        )
        if not bool(certified.all()):
            values[~certified] = self._direct(gram[~certified])
        return values

    def _direct(self, gram: Native) -> Native:
        every = range(gram.shape[1])
        mean = gram.diagonal(0, 1, 2).sum(1) / gram.shape[1]
        # All singular values equal (the identity, an orthogonal matrix): σ₁² lies within ‖G − mean‖_F of it.
        spread = gram + 0.0
        spread[:, every, every] -= mean[:, None]
        unequal = (spread**2).sum((1, 2)) > (CERTIFIED * mean) ** 2
        if bool(unequal.any()):
            mean[unequal] = self._xp.linalg.eigvalsh(gram[unequal])[:, -1]
        return mean

    def _lanczos(self, gram: Native, traces: Native) -> tuple[Native, Native]:
        """The lower end of σ₁² (n,) and whether the upper one is as high (n,)."""
        xp, (count, rows, _) = self._xp, gram.shape
        flat = gram.reshape(count, -1)
        squares = _dot(flat, flat)
        noise = EXHAUSTED * xp.sqrt(squares)
        most = max(2 * FEWEST_STEPS, rows // MOST_STEPS)
        basis = self._space.zeros((count, most + 1, rows), "float64")
        alpha, beta = (self._space.zeros((count, most), "float64") for _ in range(2))
        basis[:, 0] = self._start(gram)
        check = self._first_check
        for step in range(1, most + 1):
            vector = basis[:, step - 1]
            image = (gram @ vector[..., None])[..., 0]
            alpha[:, step - 1] = _dot(vector, image)
            image = image - alpha[:, step - 1, None] * vector
            if step > 1:
                image -= beta[:, step - 2, None] * basis[:, step - 2]
            so_far = basis[:, :step]
            image -= ((so_far @ image[..., None]).swapaxes(1, 2) @ so_far)[:, 0]
            beta[:, step - 1] = xp.sqrt(_dot(image, image))
            # What is left at rounding level is noise and no direction; the vectors so far are all there is.
            there = beta[:, step - 1] > noise
            basis[:, step] = image * (there / (beta[:, step - 1] + TINY))[:, None]
            if step in (check, most):
                ends = self._ends(alpha[:, :step], beta[:, :step], traces, squares)
                certified = ends[1] <= (1.0 + CERTIFIED) * ends[0]
                if bool((certified | ~there).all()):
                    break
                check += max(FEWEST_STEPS, step // 4)
        self._first_check = max(FEWEST_STEPS, step - max(2, step // 4))
        self._remember(alpha[:, :step], beta[:, :step], basis[:, :step])
        return ends[0], certified

    def _fused(self, matrices: Native, gram: bool) -> tuple[Native, Native, Native]:
        """The traces of G, and as `_lanczos`, from G or from P, by the kernel.

        Each lag begins with what was found at the last.
        """
        samples, (count, rows, columns) = self._samples, matrices.shape
        if self._vectors is None or self._vectors.shape != (samples, rows):
            self._vectors = np.tile(1.0 + np.cos(np.arange(rows)), (samples, 1))
        most = max(2 * FEWEST_STEPS, rows // MOST_STEPS)
        stored = _as_stored(matrices)
        room = [np.empty(shape) for shape in ((most + 1, rows), (2, max(rows, columns)), (4, most))]
        found = np.empty(count), np.empty(count), np.empty(count, np.bool_)
        self._kernel(
            *(count, samples, rows, stored.shape[1], columns, most),
            *(stored.ctypes.data, address(self._vectors)),
            *(gram, CERTIFIED, EXHAUSTED),
            *(address(array) for array in (*room, *found)),
        )
        return found

    def _start(self, gram: Native) -> Native:
        """The vectors of the last lag, or any, of length 1, for each lag of a batch: (n, R)."""
        count, rows, _ = gram.shape
        last = self._vectors
        if last is None or last.shape[1] != rows:
            last = gram[-self._samples :] @ as_float64(self._space.put(np.cos(np.arange(rows))))
        last = last / (self._xp.sqrt(_dot(last, last)) + TINY)[:, None]
        return self._xp.concatenate([last] * (count // self._samples))

    def _ends(self, alpha: Native, beta: Native, traces: Native, squares: Native) -> Native:
        """Below and above σ₁², (2, n)."""
        xp = self._xp
        matrix = self._tridiagonal(alpha, beta)
        by_trace = traces - alpha.sum(1)
        by_square = squares - (alpha**2).sum(1) - 2.0 * (beta**2).sum(1)
        rest = xp.minimum(by_trace, xp.sqrt(xp.clip(by_square, 0.0, None)))
        inside = matrix + 0.0
        matrix[:, -1, -1] = xp.clip(rest, 0.0, None)
        inside[:, -1, -2] = 0.0
        return xp.linalg.eigvalsh(xp.stack([inside, matrix]))[..., -1]

    def _tridiagonal(self, alpha: Native, beta: Native) -> Native:
        """T_m with β below, (n, m+1, m+1), its lower triangle; 0 in the last corner."""
        count, steps = alpha.shape
        matrix = self._space.zeros((count, steps + 1, steps + 1), "float64")
        every = range(steps)
        matrix[:, every, every] = alpha
        matrix[:, range(1, steps + 1), every] = beta
        return matrix

    def _remember(self, alpha: Native, beta: Native, basis: Native) -> None:
        """The Ritz vectors of the last lag."""
        last = slice(len(alpha) - self._samples, None)
        matrix = self._tridiagonal(alpha[last], beta[last])[:, :-1, :-1]
        leading = self._xp.linalg.eigh(matrix)[1][:, :, -1]
        self._vectors = (leading[:, None] @ basis[last])[:, 0]


def _as_stored(matrices: Native) -> Native:
    """(n, R, C) with the rows between one matrix and the next that are left out, where those lie alike."""
    count, rows, columns = matrices.shape
    between, row, number = matrices.strides
    stored_rows = between // row if row > 0 else 0
    if (row, number) != (8 * columns, 8) or between != stored_rows * row or stored_rows < rows:
        return np.ascontiguousarray(matrices)
    return np.lib.stride_tricks.as_strided(matrices, (count, stored_rows, columns), writeable=False)


def _gram(matrices: Native) -> Native:
    return matrices @ matrices.swapaxes(-1, -2)


def _dot(a: Native, b: Native) -> Native:
    """(n, R)·(n, R) -> (n,)."""
    return (a[:, None] @ b[..., None])[:, 0, 0]
