"""The work of a whole structure: its layers, what it reads, and what it costs; as `problem` for one layer."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.initializations import initialize_stack
from harness.measure.problem import Prepared
from harness.measure.work import Sizes, Work, work
from implementations.contract import Backend, Parameters
from implementations.registry import CELLS, load_backend
from implementations.stack import bind_stack
from implementations.structure import Structure

Array = NDArray[Any]

STEP_OF_WIDTH = 8
"""Widths that are compared are multiples of this, as kernels like them."""


@dataclass(frozen=True)
class StackProblem:
    """One pass of one structure, in NumPy, at the precision of the border.

    inputs (T, B, I); initial_state and grad_final_state: tuples of (L·D, B, H); grad_output (T, B, D·H).
    """

    cell: str
    dtype: str
    structure: Structure
    layers: tuple[Parameters, ...]
    inputs: Array
    initial_state: tuple[Array, ...]
    grad_output: Array
    grad_final_state: tuple[Array, ...]

    @classmethod
    def draw(
        cls, cell: str, dtype: str, structure: Structure, sizes: Sizes, *, seed: int = 0
    ) -> StackProblem:
        """Normal inputs and states, a loss gradient of norm about 1, layers as PyTorch starts them."""
        border = "float64" if dtype == "float64" else "float32"
        rng = np.random.default_rng([seed, sizes.seq_len, sizes.batch_size, sizes.hidden_size])
        places = structure.num_layers * structure.directions
        state_shape = (places, sizes.batch_size, sizes.hidden_size)
        output_shape = (sizes.seq_len, sizes.batch_size, structure.directions * sizes.hidden_size)

        def normal(shape: tuple[int, ...], scale: float = 1.0) -> Array:
            return (scale * rng.standard_normal(shape)).astype(border)

        layers = initialize_stack(
            "pytorch_uniform", cell, structure, sizes.input_size, sizes.hidden_size, seed=seed
        )
        states = range(len(CELLS[cell].state_names))
        return cls(
            cell=cell,
            dtype=dtype,
            structure=structure,
            layers=tuple(parameters.astype(border) for parameters in layers),
            inputs=normal((sizes.seq_len, sizes.batch_size, sizes.input_size)),
            initial_state=tuple(normal(state_shape, 0.5) for _ in states),
            grad_output=normal(output_shape, 1.0 / np.sqrt(np.prod(output_shape))),
            grad_final_state=tuple(normal(state_shape, 1.0 / np.sqrt(np.prod(state_shape))) for _ in states),
        )

    def on(self, backend: Backend) -> Prepared:
        """The problem in a backend's own form; conversion happens here, outside everything timed."""

        def native(array: Array) -> Any:
            return backend.to_native(array, self.dtype)

        return Prepared(
            layer=bind_stack(backend, self.cell, self.layers, self.dtype, **self.structure.options),
            inputs=native(self.inputs),
            initial_state=tuple(native(array) for array in self.initial_state),
            grad_output=native(self.grad_output),
            grad_final_state=tuple(native(array) for array in self.grad_final_state),
        )

    def reference(self, *, training: bool) -> dict[str, Array]:
        """Every result in float64, composed of the `numpy` backend's layers."""
        wide = replace(
            self,
            dtype="float64",
            layers=tuple(parameters.astype("float64") for parameters in self.layers),
            inputs=self.inputs.astype("float64"),
            initial_state=tuple(array.astype("float64") for array in self.initial_state),
            grad_output=self.grad_output.astype("float64"),
            grad_final_state=tuple(array.astype("float64") for array in self.grad_final_state),
        )
        return wide.on(load_backend("numpy")).results(training=training)


def structure_work(cell: str, dtype: str, structure: Structure, sizes: Sizes, *, training: bool) -> Work:
    """FLOP and bytes of all layers together."""
    widths = structure.widths(sizes.input_size, sizes.hidden_size)
    each = [work(cell, dtype, replace(sizes, input_size=width), training=training) for width in widths]
    return Work(sum(one.flop for one in each), sum(one.peak_bytes for one in each))


def count_parameters(cell: str, structure: Structure, input_size: int, hidden_size: int) -> int:
    """Numbers in the parameters of all layers."""
    shapes = [
        CELLS[cell].parameter_shapes(width, hidden_size)
        for width in structure.widths(input_size, hidden_size)
    ]
    return sum(prod(shape) for each in shapes for shape in each.values())


def equal_hidden_size(cell: str, structure: Structure, input_size: int, hidden_size: int) -> int:
    """H of the one layer whose number of parameters comes nearest; a multiple of 8, or the very H."""
    wanted = count_parameters(cell, structure, input_size, hidden_size)
    if structure == Structure():
        return hidden_size
    widths = range(STEP_OF_WIDTH, isqrt(wanted) + 2 * STEP_OF_WIDTH, STEP_OF_WIDTH)  # at least H² parameters
    below = bisect_right(widths, wanted, key=lambda h: count_parameters(cell, Structure(), input_size, h))
    width = widths[max(below - 1, 0)]
    around = (width, width + STEP_OF_WIDTH)
    return min(around, key=lambda h: abs(count_parameters(cell, Structure(), input_size, h) - wanted))
