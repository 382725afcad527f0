"""What a step of the LSTM does beside its products of matrices, each in one pass over memory."""

from __future__ import annotations

from typing import Any

from harness.gradients.compiled import kernel


@kernel
def spread(p_h: Any, p_c: Any, k: Any, own: Any, q: Any, scaled: Any) -> None:
    """q = P_h diag(k) + P_c and scaled = P_h diag(own); matrices (B, R, H), diagonals (B, H)."""
    batch_size, rows, size = p_h.shape
    for b in range(batch_size):
        for r in range(rows):
            for i in range(size):
                value = p_h[b, r, i]
                q[b, r, i] = value * k[b, i] + p_c[b, r, i]
                scaled[b, r, i] = value * own[b, i]


@kernel
def gather(p_h: Any, product: Any, q: Any, f: Any) -> None:
    """In place, P_h + product and q diag(f)."""
    batch_size, rows, size = p_h.shape
    for b in range(batch_size):
        for r in range(rows):
            for i in range(size):
                p_h[b, r, i] += product[b, r, i]
                q[b, r, i] *= f[b, i]


@kernel
def combined(first: Any, second: Any, third: Any, weights: Any, out: Any) -> None:
    """out = diag(first) U_0 + diag(second) U_1 + diag(third) U_2 for every step and sample.

    Args:
        first, second, third: (n, B, H).
        weights: (H, 3, H): row a of all U beside each other.
        out: (n, B, H, H).
    """
    steps, batch_size, size = first.shape
    for t in range(steps):
        for b in range(batch_size):
            for a in range(size):
                x, y, z = first[t, b, a], second[t, b, a], third[t, b, a]
                u, v, w = weights[a, 0], weights[a, 1], weights[a, 2]
                row = out[t, b, a]
                for i in range(size):
                    row[i] = x * u[i] + y * v[i] + z * w[i]
