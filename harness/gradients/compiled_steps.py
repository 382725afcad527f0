"""Several steps of a product of Jacobians in one call, and the LSTM's forward pass.

Eight rows at a time go through a step: what multiplies the weights is made for them in the cache, and the
weights lie in panels as wide as a register tile (`implementations.backends.numba_cpu.tiles`).
"""

from __future__ import annotations

import math
from typing import Any

from numba import carray

from harness.gradients.compiled import kernel, routine
from implementations.backends.numba_cpu.host import panel_width
from implementations.backends.numba_cpu.tiles import multiply_tile

TILE: Any = multiply_tile
WIDTH = panel_width("float64")


@routine
def product(block: Any, rows: int, panels: Any, zeros: Any, out: Any, first: int) -> None:
    """out[first + r] = block[r]·M for the first rows of a block, M (K, H) in panels (p, K, W) of columns."""
    count, depth, width = panels.shape
    size = out.shape[1]
    for p in range(count):
        panel, column = p * depth * width, p * width
        columns, start, r = min(width, size - column), first * size + column, 0
        if rows == 8:
            TILE(8, block, 0, depth, panels, panel, depth, zeros, 0, 0, out, start, size, columns)
            r = 8
        elif rows >= 4:
            TILE(4, block, 0, depth, panels, panel, depth, zeros, 0, 0, out, start, size, columns)
            r = 4
        while r < rows:
            at = start + r * size
            TILE(1, block, r * depth, depth, panels, panel, depth, zeros, 0, 0, out, at, size, columns)
            r += 1


@routine
def squared_norms(rows: Any, first: int, count: int, out: Any) -> None:
    for r in range(first, first + count):
        row, total = rows[r], 0.0
        for i in range(len(row)):
            total += row[i] * row[i]
        out[r] = total


@routine
def lstm_step(
    p_h: Any, p_c: Any, own: Any, k: Any, f: Any, panels: Any, zeros: Any, block: Any, new_h: Any, new_c: Any
) -> None:
    """new_h = [P_h diag(own), Q] M and new_c = Q diag(f), with Q = P_h diag(k) + P_c; rows (R, H)."""
    rows, size = p_h.shape
    for first in range(0, rows, 8):
        count = min(8, rows - first)
        for r in range(count):
            h, c, scaled, q, kept = (
                p_h[first + r],
                p_c[first + r],
                block[r, :size],
                block[r, size:],
                new_c[first + r],
            )
            for i in range(size):
                both = h[i] * k[i] + c[i]
                scaled[i] = h[i] * own[i]
                q[i] = both
                kept[i] = both * f[i]
        product(block, count, panels, zeros, new_h, first)


@routine
def lstm_matrix(first: Any, second: Any, third: Any, weights: Any, panels: Any) -> None:
    """C = diag(first) U_0 + diag(second) U_1 + diag(third) U_2, below in each panel (p, 2H, W)."""
    size, (count, _, width) = len(first), panels.shape
    for a in range(size):
        x, y, z = first[a], second[a], third[a]
        u, v, w = weights[a, 0], weights[a, 1], weights[a, 2]
        for p in range(count):
            row, column = panels[p, size + a], p * width
            for i in range(min(width, size - column)):
                row[i] = x * u[column + i] + y * v[column + i] + z * w[column + i]


def _lstm_stretch(
    steps: int,
    batch_size: int,
    rows: int,
    size: int,
    slots: int,
    newest: int,
    panel_count: int,
    width: int,
    p_h: Any,
    p_c: Any,
    own: Any,
    k: Any,
    f: Any,
    through_f: Any,
    through_i: Any,
    through_g: Any,
    weights: Any,
    panels: Any,
    block: Any,
    h: Any,
    c: Any,
    squares: Any,
    places: Any,
) -> None:
    """P_h and P_c through J_newest, J_newest−1, …; after step s they lie at h[places[s]] and c[places[s]].

    Args:
        p_h, p_c: (B, R, H).
        own, k, f, through_f, through_i, through_g: the slopes of the steps from the oldest on, (…, B, H).
        weights: (H, 3, H): row a of U_f, U_i and U_g beside each other.
        panels: [U_o; room for C], (p, 2H, W).
        block: room for (8, 2H), and zeros (W,) after it.
        h, c: (slots, B, R, H).
        squares: (2, slots, B, R), the squared norms of their rows.
    """
    shape = (newest + 1, batch_size, size)
    slopes = (carray(own, shape), carray(k, shape), carray(f, shape))
    diagonals = (carray(through_f, shape), carray(through_i, shape), carray(through_g, shape))
    weights_, panels_ = carray(weights, (size, 3, size)), carray(panels, (panel_count, 2 * size, width))
    block_, whole = carray(block, (8, 2 * size)), carray(block, (16 * size + width,))
    h_, c_ = carray(h, (slots, batch_size, rows, size)), carray(c, (slots, batch_size, rows, size))
    first_h, first_c = carray(p_h, (batch_size, rows, size)), carray(p_c, (batch_size, rows, size))
    squares_, places_ = carray(squares, (2, slots, batch_size, rows)), carray(places, (steps,))
    for s in range(steps):
        t, place = newest - s, places_[s]
        for b in range(batch_size):
            lstm_matrix(diagonals[0][t, b], diagonals[1][t, b], diagonals[2][t, b], weights_, panels_)
            old_h = first_h[b] if s == 0 else h_[places_[s - 1], b]
            old_c = first_c[b] if s == 0 else c_[places_[s - 1], b]
            lstm_step(
                old_h,
                old_c,
                slopes[0][t, b],
                slopes[1][t, b],
                slopes[2][t, b],
                panels_,
                whole[16 * size :],
                block_,
                h_[place, b],
                c_[place, b],
            )
            squared_norms(h_[place, b], 0, rows, squares_[0, place, b])
            squared_norms(c_[place, b], 0, rows, squares_[1, place, b])


def _simple_stretch(
    steps: int,
    batch_size: int,
    rows: int,
    size: int,
    slots: int,
    newest: int,
    panel_count: int,
    width: int,
    p: Any,
    slope: Any,
    panels: Any,
    block: Any,
    h: Any,
    squares: Any,
    places: Any,
) -> None:
    """P through J = diag(slope) W of one step after another; see `_lstm_stretch`.

    Args:
        panels: W, (p, H, W).
        block: room for (8, H), and zeros (W,) after it.
    """
    slopes, panels_ = (
        carray(slope, (newest + 1, batch_size, size)),
        carray(panels, (panel_count, size, width)),
    )
    block_, whole = carray(block, (8, size)), carray(block, (8 * size + width,))
    h_, first_p = carray(h, (slots, batch_size, rows, size)), carray(p, (batch_size, rows, size))
    squares_, places_ = carray(squares, (slots, batch_size, rows)), carray(places, (steps,))
    for s in range(steps):
        place = places_[s]
        for b in range(batch_size):
            old, new, by = (
                first_p[b] if s == 0 else h_[places_[s - 1], b],
                h_[place, b],
                slopes[newest - s, b],
            )
            for first in range(0, rows, 8):
                count = min(8, rows - first)
                for r in range(count):
                    row, scaled = old[first + r], block_[r]
                    for i in range(size):
                        scaled[i] = row[i] * by[i]
                product(block_, count, panels_, whole[8 * size :], new, first)
            squared_norms(new, 0, rows, squares_[place, b])


@routine
def sigmoid(a: float) -> float:
    """σ(a); e^−a may overflow, and σ is 0 there."""
    return 1.0 / (1.0 + math.exp(-a))


@routine
def lstm_forward(products: Any, weight: Any, h: Any, c: Any, sums: Any) -> None:
    """The states of an LSTM after the first.

    Args:
        products: (n, B, 4H), W_ih x + b_ih + b_hh.
        weight: (H, 4H), the transpose of W_hh.
        h, c: (n + 1, B, H); the first of each are given, the others are found.
        sums: room for (4H,).
    """
    steps, batch_size, size = len(products), h.shape[1], h.shape[2]
    fours = size - size % 4
    for t in range(steps):
        for b in range(batch_size):
            before, after, given = h[t, b], h[t + 1, b], products[t, b]
            for a in range(4 * size):
                sums[a] = given[a]
            for j in range(0, fours, 4):
                s0, s1, s2, s3 = before[j], before[j + 1], before[j + 2], before[j + 3]
                r0, r1, r2, r3 = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
                for a in range(4 * size):
                    sums[a] += s0 * r0[a] + s1 * r1[a] + s2 * r2[a] + s3 * r3[a]
            for j in range(fours, size):
                s0, r0 = before[j], weight[j]
                for a in range(4 * size):
                    sums[a] += s0 * r0[a]
            i, f, g, o = sums[:size], sums[size : 2 * size], sums[2 * size : 3 * size], sums[3 * size :]
            for a in range(size):
                kept = sigmoid(f[a]) * c[t, b, a] + sigmoid(i[a]) * math.tanh(g[a])
                c[t + 1, b, a] = kept
                after[a] = sigmoid(o[a]) * math.tanh(kept)


def _lstm_forward(
    steps: int, batch_size: int, size: int, products: Any, weight: Any, h: Any, c: Any, sums: Any
) -> None:
    lstm_forward(
        carray(products, (steps, batch_size, 4 * size)),
        carray(weight, (size, 4 * size)),
        carray(h, (steps + 1, batch_size, size)),
        carray(c, (steps + 1, batch_size, size)),
        carray(sums, (4 * size,)),
    )


def _panel_width(found: Any) -> None:
    """How many columns a panel has."""
    carray(found, (1,))[0] = WIDTH


KERNELS = {
    "panel_width": kernel("i")(_panel_width),
    "lstm_stretch": kernel("nnnnnnnn" + "dddddddddddddd" + "i")(_lstm_stretch),
    "simple_stretch": kernel("nnnnnnnn" + "dddddd" + "i")(_simple_stretch),
    "lstm_forward": kernel("nnn" + "ddddd")(_lstm_forward),
}
