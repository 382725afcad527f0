"""What one pass costs: its sizes, its FLOP and the memory that it cannot do without."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.case import Case
from implementations.contract import PARAMETER_NAMES
from implementations.registry import CELLS


@dataclass(frozen=True)
class Work:
    """FLOP of one call (how they are counted: :func:`flop`) and the bytes that it holds at its peak."""

    flop: float
    peak_bytes: float


@dataclass(frozen=True)
class Sizes:
    """seq_len T, batch_size B, input_size I, hidden_size H."""

    seq_len: int
    batch_size: int
    input_size: int
    hidden_size: int

    @classmethod
    def of(cls, case: Case) -> Sizes:
        """A case's sizes; `input_size` is `hidden_size` where the case leaves it open."""
        axes = case.axes
        hidden_size = int(axes["hidden_size"] or 0)
        return cls(
            int(axes["seq_len"] or 0),
            int(axes["batch_size"] or 0),
            int(axes.get("input_size") or hidden_size),
            hidden_size,
        )


def flop(cell: str, sizes: Sizes, *, training: bool) -> float:
    """FLOP of one pass: 2·T·B·G·H·(I + H) for the forward, three times that with the backward.

    The products with weights alone, a multiplication and an addition each one FLOP; further weights that a
    cell declares (peepholes, a gate recurrence) count with their elements beside the G·H·(I + H).
    """
    weights = sizes.input_size * len(CELLS[cell].gates) * sizes.hidden_size + recurrent_weights(cell, sizes)
    forward = 2.0 * sizes.seq_len * sizes.batch_size * weights
    return forward * (3.0 if training else 1.0)


def recurrent_weights(cell: str, sizes: Sizes) -> int:
    """Elements of all that multiplies the state at every step: weight_hh and the cell's extras."""
    shapes = CELLS[cell].parameter_shapes(sizes.input_size, sizes.hidden_size)
    return sum(
        math.prod(shape)
        for name, shape in shapes.items()
        if name == "weight_hh" or name not in PARAMETER_NAMES
    )


def work(cell: str, dtype: str, sizes: Sizes, *, training: bool) -> Work:
    """FLOP as in :func:`flop`, and the bytes of inputs, output, gates, states and their gradients."""
    definition = CELLS[cell]
    item = 8 if dtype == "float64" else 4
    per_step = sizes.input_size + sizes.hidden_size * (len(definition.gates) + len(definition.state_names))
    shapes = definition.parameter_shapes(sizes.input_size, sizes.hidden_size)
    parameters = sum(float(math.prod(shape)) for shape in shapes.values())
    copies = 2.0 if training else 1.0
    elements = copies * (sizes.seq_len * sizes.batch_size * per_step + 2.0 * parameters)
    return Work(flop(cell, sizes, training=training), elements * item)
