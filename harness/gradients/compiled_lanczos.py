"""`largest` in one compiled call for a stretch of lags: the same steps and the same two ends of σ₁².

It differs in when it looks.  Every matrix begins with what was found for the one before it, and after each of
its steps asks whether the ends have met, since here that costs a few dozen divisions:

* the lower end θ = λ_max(T_m) is found by Laguerre's method, which comes down from above and never passes the
  largest root of a polynomial whose roots are all real; where it begins, 2×2 matrices say: T_m is at most
  [[θ_{m−1}, β], [β, α_m]];
* that θ is no higher than λ_max(T_m), and that (1 + tolerance)θ is no lower than the upper end, the signs of
  the pivots of μ − T (Sturm's sequence) prove, whatever Laguerre's method did.

Source: Parlett 1998, "The symmetric eigenvalue problem", chapters 3 and 13; Laguerre's method,
Wilkinson 1965, "The algebraic eigenvalue problem", chapter 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from harness.gradients.compiled import kernel, routine

ROUNDING = 1e-12
"""Relative; θ may be above λ_max(T_m) by so much."""
MOST_ITERATIONS = 40
NOT_BEFORE, FAR = 3, 6.0
"""Steps before P may be given up, and how many σ₁² all that T_m leaves of the trace may be for as many steps
again.  From then on it may be one."""


@routine
def dot(a: Any, b: Any) -> float:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@routine
def subtract(vector: Any, share: float, other: Any) -> None:
    """vector −= share·other."""
    for i in range(len(vector)):
        vector[i] -= share * other[i]


@routine
def sum_of_rows(weights: Any, matrix: Any, out: Any) -> None:
    """out = matrixᵀ·weights, from four rows at a time."""
    rows, columns = matrix.shape
    out[:] = 0.0
    fours = rows - rows % 4
    for i in range(0, fours, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        r0, r1, r2, r3 = matrix[i], matrix[i + 1], matrix[i + 2], matrix[i + 3]
        for j in range(columns):
            out[j] += a * r0[j] + b * r1[j] + c * r2[j] + d * r3[j]
    for i in range(fours, rows):
        a, r0 = weights[i], matrix[i]
        for j in range(columns):
            out[j] += a * r0[j]


@routine
def last_pivot(mu: float, alpha: Any, beta: Any, steps: int) -> float:
    """Of μ − T, T of so many steps; −1 where one before it is not positive.

    It is positive where and only where μ lies above all eigenvalues of T.
    """
    pivot = mu - alpha[0]
    for i in range(1, steps):
        if not pivot > 0.0:
            return -1.0
        pivot = mu - alpha[i] - beta[i - 1] * beta[i - 1] / pivot
    return pivot


@routine
def largest_of_tridiagonal(above: float, alpha: Any, beta: Any, steps: int) -> float:
    """λ_max(T_m), from a number that is not below it."""
    x = above
    for _ in range(MOST_ITERATIONS):
        pivot, first, second = x - alpha[0], 1.0, 0.0
        slope, curvature = 0.0, 0.0
        for i in range(steps):
            if i > 0:
                inverse = 1.0 / pivot
                weight = beta[i - 1] * beta[i - 1] * inverse * inverse
                pivot = x - alpha[i] - weight * pivot
                second = weight * (second - 2.0 * first * first * inverse)
                first = 1.0 + weight * first
            if not pivot > 0.0:
                return x
            ratio = first / pivot
            slope += ratio
            curvature += ratio * ratio - second / pivot
        root = (steps - 1) * (steps * curvature - slope * slope)
        change = steps / (slope + np.sqrt(max(root, 0.0)))
        x -= change
        if not change > 1e-15 * x:
            break
    return x


@routine
def ritz_vector(mu: float, alpha: Any, beta: Any, steps: int, out: Any, pivots: Any) -> bool:
    """The leading eigenvector of T, up to its length, by two steps of inverse iteration at μ above it."""
    pivots[0] = mu - alpha[0]
    for i in range(1, steps):
        pivots[i] = mu - alpha[i] - beta[i - 1] * beta[i - 1] / pivots[i - 1]
    for i in range(steps):
        if not pivots[i] > 0.0:
            return False
    out[:steps] = 0.0
    out[0] = 1.0
    for _ in range(2):
        for i in range(1, steps):
            out[i] += beta[i - 1] / pivots[i - 1] * out[i - 1]
        out[steps - 1] /= pivots[steps - 1]
        for i in range(steps - 2, -1, -1):
            out[i] = (out[i] + beta[i] * out[i + 1]) / pivots[i]
        longest = 0.0
        for i in range(steps):
            longest = max(longest, abs(out[i]))
        if not 0.0 < longest < np.inf:
            return False
        for i in range(steps):
            out[i] /= longest
    return True


@routine
def gram_product(matrix: Any, gram: bool, vector: Any, out: Any, between: Any) -> None:
    """out = G·vector, of G itself or of P with Pᵀ·vector between."""
    if gram:
        sum_of_rows(vector, matrix, out)
        return
    sum_of_rows(vector, matrix, between)
    for i in range(len(out)):
        out[i] = dot(matrix[i], between)


@routine
def lanczos(
    matrices: Any,
    rows: int,
    vectors: Any,
    gram: bool,
    tolerance: float,
    exhausted: float,
    basis: Any,
    images: Any,
    tridiagonal: Any,
    traces: Any,
    values: Any,
    certified: Any,
) -> None:
    """The trace of G, the lower end of σ₁² and whether the upper one is as high, of one matrix after another.

    Args:
        matrices: (n, at least R, C); every B-th belongs to the same sample.
        rows: R, how many of a matrix count.
        vectors: (B, R) of any length, where the first matrices begin; overwritten with where the last ended.
        gram: whether they are G = P Pᵀ and not P.  G's Frobenius norm is a bound that P does not give, and
            without which σ₁² must be more than all that T_m leaves of the trace: where that is out of sight,
            P is given up after a few steps.
        tolerance: relative distance of the two ends that is allowed.
        exhausted: a β below this, relative to ‖G‖_F, or to the trace of P Pᵀ, is rounding.
        basis, images, tridiagonal: room for (most + 1, R), (2, max(R, C)) and (4, most), of so many steps for
            one matrix.
        traces, values, certified: (n,), the results; the latter 0 where a vector to begin with is 0.
    """
    columns = matrices.shape[2]
    image, between = images[0, :rows], images[1, :columns]
    alpha, beta, small, pivots = tridiagonal[0], tridiagonal[1], tridiagonal[2], tridiagonal[3]
    for k in range(len(matrices)):
        matrix, start = matrices[k, :rows], vectors[k % len(vectors)]
        trace, squares = 0.0, 0.0
        for i in range(rows):
            squares += dot(matrix[i], matrix[i])
            trace += matrix[i, i % columns]
        if not gram:
            trace, squares = squares, squares * squares
        traces[k], values[k], certified[k] = trace, 0.0, 0
        noise = exhausted * np.sqrt(squares)
        length = np.sqrt(dot(start, start))
        if not 0.0 < length < np.inf:
            continue
        for j in range(rows):
            basis[0, j] = start[j] / length
        theta, by_trace, by_square, m, sure = 0.0, trace, squares, 0, False
        for m in range(1, len(alpha) + 1):
            vector = basis[m - 1]
            gram_product(matrix, gram, vector, image, between)
            # Over its own squared length: of a multiple of the identity the very number.
            alpha[m - 1] = dot(vector, image) / dot(vector, vector)
            for i in range(m - 1, -1, -1):
                subtract(image, dot(basis[i], image), basis[i])
            subtract(image, dot(vector, image), vector)
            beta[m - 1] = np.sqrt(dot(image, image))
            by_trace -= alpha[m - 1]
            by_square -= alpha[m - 1] ** 2 + 2.0 * beta[m - 1] ** 2
            if m == 1:
                theta = alpha[0]
            else:
                half = 0.5 * (theta - alpha[m - 1])
                top = 0.5 * (theta + alpha[m - 1]) + np.sqrt(half * half + beta[m - 2] ** 2)
                theta = largest_of_tridiagonal(top * (1.0 + 1e-15), alpha, beta, m)
            # What is left at rounding level is noise and no direction; the vectors so far are all there is.
            there = beta[m - 1] > noise
            rest = by_trace
            if gram:
                rest = min(rest, np.sqrt(max(0.0, by_square)))
            rest = max(0.0, rest)
            mu = (1.0 + tolerance) * theta
            pivot = last_pivot(mu, alpha, beta, m)
            met = pivot > 0.0 and mu - rest >= beta[m - 1] ** 2 / pivot
            sure = met and not last_pivot(theta * (1.0 - ROUNDING), alpha, beta, m) > 0.0
            hopeless = not gram and m >= NOT_BEFORE and rest > (FAR if m < 2 * NOT_BEFORE else 1.0) * theta
            if sure or not there or hopeless:
                break
            for j in range(rows):
                basis[m, j] = image[j] / beta[m - 1]
        values[k], certified[k] = theta, 1 if sure else 0
        if ritz_vector((1.0 + tolerance) * theta, alpha, beta, m, small, pivots):
            start[:] = 0.0
            for i in range(m):
                subtract(start, -small[i], basis[i])
        else:
            for j in range(rows):
                start[j] = basis[0, j]


def _lanczos(
    count: int,
    samples: int,
    rows: int,
    stored_rows: int,
    columns: int,
    most: int,
    matrices: Any,
    vectors: Any,
    gram: int,
    tolerance: float,
    exhausted: float,
    basis: Any,
    images: Any,
    tridiagonal: Any,
    traces: Any,
    values: Any,
    certified: Any,
) -> None:
    lanczos(
        carray(matrices, (count, stored_rows, columns)),
        rows,
        carray(vectors, (samples, rows)),
        gram != 0,
        tolerance,
        exhausted,
        carray(basis, (most + 1, rows)),
        carray(images, (2, max(rows, columns))),
        carray(tridiagonal, (4, most)),
        carray(traces, (count,)),
        carray(values, (count,)),
        carray(certified, (count,)),
    )


KERNELS = {"lanczos": kernel("nnnnnn" + "dd" + "nxx" + "ddddd" + "b")(_lanczos)}
