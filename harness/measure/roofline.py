"""What no implementation can beat on a machine: the time of a pass at the machine's own rates.

The roofline (Williams, Waterman and Patterson, 2009) of one pass:

    seconds ≥ max( Σ FLOP of a product / rate of that product,  (bytes − cache) / bandwidth )

A pass does two kinds of product.  Where all steps are known beforehand they make one large product of T·B
rows: inputs · weight_ihᵀ, and in the backward dL/dinputs, dL/dweight_ih and dL/dweight_hh.  Where a step
waits for the one before it, T small products of B rows follow each other: h · weight_hhᵀ, and in the
backward its transpose.  Each kind is held against the rate of matrix products of just this shape, which
:mod:`harness.measure.kernels` measures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.measure.work import Sizes, flop, recurrent_weights
from implementations.registry import CELLS

ITEM_BYTES = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}

LARGE = 1024
"""Rows, inner size and columns of the large product: what the machine reaches where nothing is narrow."""
MAXIMUM_ROWS = 8192
ENOUGH_ROWS = 512
ENOUGH_FLOP = 2e10
"""The rate of a product no longer depends on its rows where they are MAXIMUM_ROWS, or ENOUGH_ROWS that make
so many FLOP: further ones are not measured."""


@dataclass(frozen=True)
class Shape:
    """A matrix product (rows, inner) · (inner, columns)."""

    rows: int
    inner: int
    columns: int

    @property
    def flop(self) -> float:
        return 2.0 * self.rows * self.inner * self.columns

    def capped(self) -> Shape:
        """With no more rows than are measured."""
        enough = max(ENOUGH_ROWS, int(ENOUGH_FLOP / (2.0 * self.inner * self.columns)))
        return replace(self, rows=min(self.rows, MAXIMUM_ROWS, enough))


@dataclass(frozen=True)
class Demands:
    """What one pass asks of the machine.

    Args:
        input_rows: rows of the input product: T·B, or fewer that show the same rate (:meth:`Shape.capped`).
        gate_rows: G·H, the columns of both products.
        input_product_flop: in products of T·B rows, inner size I (or H, for dL/dweight_hh).
        recurrent_product_flop: in products of B rows, inner size H, one after the other.
        bytes: what has to be read or written at least once (:func:`minimum_bytes`).
    """

    input_rows: int
    gate_rows: int
    input_product_flop: float
    recurrent_product_flop: float
    bytes: float


def input_shape(cell: str, sizes: Sizes) -> Shape:
    """inputs · weight_ihᵀ for all steps at once: (T·B, I) · (I, G·H)."""
    return Shape(sizes.seq_len * sizes.batch_size, sizes.input_size, _gate_rows(cell, sizes))


def recurrent_shape(cell: str, sizes: Sizes) -> Shape:
    """h · weight_hhᵀ of one step: (B, H) · (H, G·H)."""
    return Shape(sizes.batch_size, sizes.hidden_size, _gate_rows(cell, sizes))


def demands(cell: str, dtype: str, sizes: Sizes, *, training: bool) -> Demands:
    """The two kinds of product add up to :func:`harness.measure.work.flop`.

    Training does the input product three times (itself and both of its gradients) and the recurrent one
    twice step by step (itself and its transpose); dL/dweight_hh is one large product.  What a cell's extras
    multiply counts as recurrent.
    """
    product = input_shape(cell, sizes)
    forward = product.flop
    chain = 2.0 * sizes.seq_len * sizes.batch_size * recurrent_weights(cell, sizes)
    large, stepwise = (3 * forward + chain, 2 * chain) if training else (forward, chain)
    assert np.isclose(large + stepwise, flop(cell, sizes, training=training))
    return Demands(
        input_rows=product.capped().rows,
        gate_rows=product.columns,
        input_product_flop=large,
        recurrent_product_flop=stepwise,
        bytes=minimum_bytes(cell, dtype, sizes, training=training),
    )


def minimum_bytes(cell: str, dtype: str, sizes: Sizes, *, training: bool) -> float:
    """Bytes of what goes in and comes out, each once per direction.

    Inference: inputs T·B·I and parameters P read, output T·B·H written.  Training: inputs, output and
    parameters once more for the backward, dL/doutput read, dL/dinputs and P gradients written.  What is kept
    between the passes is left out, because it could be computed again.
    """
    shapes = CELLS[cell].parameter_shapes(sizes.input_size, sizes.hidden_size)
    parameters = sum(float(np.prod(shape)) for shape in shapes.values())
    steps = float(sizes.seq_len * sizes.batch_size)
    elements = steps * (sizes.input_size + sizes.hidden_size) + parameters
    return elements * ITEM_BYTES[dtype] * (3.0 if training else 1.0)


def _gate_rows(cell: str, sizes: Sizes) -> int:
    return len(CELLS[cell].gates) * sizes.hidden_size
