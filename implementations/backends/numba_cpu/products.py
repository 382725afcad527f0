"""Matrix products for recurrent shapes: few rows, many times the same weights.

A general product packs its operands anew at every call; in a time loop that costs more than the
arithmetic.  Here the weights are packed once, into panels (⌈N/width⌉, K, width) that a register tile reads
front to back, and the rows of a batch stay where they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from implementations.backends.numba_cpu.compiling import routine
from implementations.backends.numba_cpu.host import HOST, VECTORS, panel_width
from implementations.backends.numba_cpu.row_tile import multiply_row
from implementations.backends.numba_cpu.tiles import multiply_tile, outer_tile
from implementations.backends.numba_cpu.views import flat, span, standing_alone
from implementations.contract import Array

TILE = HOST.tile_rows
PANEL_BYTES = VECTORS * HOST.vector_bytes

PANELS_AT_ONCE = 2
"""Panels that one row is multiplied with together."""

PROJECT, STEP, COLLECT, RECALL = 1, 2, 4, 8
"""Stages of a pass: W_ih x of many steps; the time loop; what W_ih, its inputs and all gradients sum up; what
was not kept, computed again."""


class Rows(NamedTuple):
    """Rows of a flat array, one for each step and sample: row (t, b) begins at start + t·step + b·row.

    Strides of 0 make one row (a bias, a zero) stand for all.
    """

    array: Any
    start: int
    step: int
    row: int


@routine
def rows_of(array, first):
    """The rows of an array (T, B, N), from sample `first` on."""
    batch, columns = array.shape[1:]
    return Rows(flat(array), first * columns, batch * columns, columns)


@routine
def rows_in(workspace, start, rows, columns):
    """Rows of steps of `rows` samples that lie one after the other from an element of `workspace` on."""
    return Rows(flat(workspace), start, rows * columns, columns)


@routine
def one_row(vector):
    """A vector as the row of every step and sample."""
    return Rows(flat(vector), 0, 0, 0)


@routine
def from_step(rows, t):
    """The rows from step t on."""
    return Rows(rows.array, rows.start + t * rows.step, rows.step, rows.row)


@routine
def from_column(rows, j):
    """The rows' elements from j on."""
    return Rows(rows.array, rows.start + j, rows.step, rows.row)


@routine
def line(rows, t, b, columns):
    """The row of step t and sample b."""
    return span(rows.array, rows.start + t * rows.step + b * rows.row, columns)


def pack(matrix: Array) -> Array:
    """(K, N) -> panels (⌈N/width⌉, K, width), the last filled up with zeros."""
    depth, columns = matrix.shape
    width = panel_width(matrix.dtype)
    count = -(-columns // width)
    panels = np.zeros((count, depth, width), matrix.dtype)
    whole = columns // width
    panels[:whole] = matrix[:, : whole * width].reshape(depth, whole, width).transpose(1, 0, 2)
    if whole < count:
        panels[whole, :, : columns - whole * width] = matrix[:, whole * width :]
    return panels


@routine
def copy(source, target):
    for j in range(target.size):
        target[j] = source[j]


@routine
def add(source, target):
    for j in range(target.size):
        target[j] += source[j]


@routine
def clear(target):
    for j in range(target.size):
        target[j] = 0


@routine
def _panel(
    rows, a, a_start, a_row, panels, panel_start, depth, source, s_start, s_row, c, c_start, c_row, columns
):
    """One panel's columns for any number of rows, in the tallest tiles that fit."""
    standing_alone()
    for r in range(0, rows - TILE + 1, TILE):
        multiply_tile(
            TILE, a, a_start + r * a_row, a_row, panels, panel_start, depth,
            source, s_start + r * s_row, s_row, c, c_start + r * c_row, c_row, columns,
        )  # fmt: skip
    r = rows // TILE * TILE
    if TILE > 4 and r + 4 <= rows:
        multiply_tile(
            4, a, a_start + r * a_row, a_row, panels, panel_start, depth,
            source, s_start + r * s_row, s_row, c, c_start + r * c_row, c_row, columns,
        )  # fmt: skip
        r += 4
    if r + 2 <= rows:
        multiply_tile(
            2, a, a_start + r * a_row, a_row, panels, panel_start, depth,
            source, s_start + r * s_row, s_row, c, c_start + r * c_row, c_row, columns,
        )  # fmt: skip
        r += 2
    if r < rows:
        multiply_tile(
            1, a, a_start + r * a_row, a_row, panels, panel_start, depth,
            source, s_start + r * s_row, s_row, c, c_start + r * c_row, c_row, columns,
        )  # fmt: skip


@routine
def _row(a, a_start, panels, panel_start, depth, source, s_start, c, c_start):
    """The columns of PANELS_AT_ONCE panels for one row."""
    standing_alone()
    multiply_row(PANELS_AT_ONCE, a, a_start, panels, panel_start, depth, source, s_start, c, c_start)


@routine
def multiply_step(t, rows, a, panels, depth, source, c, columns):
    """c = source + a · weights for the rows of step t; arguments as in `multiply`.

    What bounds the product of a single row is reading the weights.  Every other step goes through them in
    the other direction, so that it begins with those that are still in the nearest cache.
    """
    width = PANEL_BYTES // panels.itemsize
    begin = 0
    if rows == 1:
        group = PANELS_AT_ONCE * width
        count = columns // group
        for number in range(count):
            first = (number if t % 2 else count - 1 - number) * group
            _row(
                a.array, a.start, panels, first * depth, depth,
                source.array, source.start + first, c.array, c.start + first,
            )  # fmt: skip
        begin = count * group
    for first in range(begin, columns, width):
        _panel(
            rows, a.array, a.start, a.row, panels, first * depth, depth,
            source.array, source.start + first, source.row, c.array, c.start + first, c.row, columns - first,
        )  # fmt: skip


@routine
def multiply(steps, rows, a, panels, depth, source, c, columns):
    """c = source + a · weights for the rows of all steps.

    Args:
        a: Rows of `depth` elements; panels: packed weights (depth, columns), flat.
        source: Rows to start from: c itself in order to add to it.
        c: Rows of `columns` elements, to be written.
    """
    if a.step == rows * a.row and source.step == rows * source.row and c.step == rows * c.row:
        steps, rows = 1, steps * rows
    elif rows < TILE and rows < steps:
        steps, rows = rows, steps
        a = Rows(a.array, a.start, a.row, a.step)
        source = Rows(source.array, source.start, source.row, source.step)
        c = Rows(c.array, c.start, c.row, c.step)
    width = PANEL_BYTES // panels.itemsize
    for first in range(0, columns, width):
        for t in range(steps):
            _panel(
                rows, a.array, a.start + t * a.step, a.row, panels, first * depth, depth,
                source.array, source.start + t * source.step + first, source.row,
                c.array, c.start + t * c.step + first, c.row, columns - first,
            )  # fmt: skip


@routine
def add_outer(steps, rows, a, height, b, columns, keep, c):
    """c = keep·c + Σ over all steps and rows of aᵀ · b.

    Args:
        a: Rows of `height` elements that lie one after the other (step = rows·row); b: Rows of `columns`.
        keep: 0 forgets what c held.
        c: (height, columns), flat.
    """
    standing_alone()
    if b.step == rows * b.row:
        steps, rows = 1, steps * rows
    whole = height // TILE * TILE
    for first in range(0, columns, PANEL_BYTES // c.itemsize):
        for m in range(0, whole, TILE):
            outer_tile(
                TILE, a.array, a.start + m, a.row, b.array, b.start + first, b.step, b.row, steps, rows,
                keep, c, m * columns + first, columns, columns - first,
            )  # fmt: skip
        for m in range(whole, height):
            outer_tile(
                1, a.array, a.start + m, a.row, b.array, b.start + first, b.step, b.row, steps, rows,
                keep, c, m * columns + first, columns, columns - first,
            )  # fmt: skip


@routine
def add_lines(count, a, keep, sums):
    """sums = keep·sums + Σ of `count` rows that lie one after the other."""
    if not keep:
        clear(sums)
    for r in range(count):
        add(line(a, 0, r, sums.size), sums)
