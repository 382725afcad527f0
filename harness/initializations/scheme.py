"""What a scheme is, and what it draws with.

A scheme is a function of :class:`Blocks` that returns `Parameters`; its options are its keyword-only
arguments.  The matrices of a gated cell are stacks of blocks, one per gate; every scheme here treats each
block as a matrix of its own (fan-in, fan-out and orthogonality are those of the block, not of the stack).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Cell, Parameters
from implementations.registry import Registry

Array = NDArray[Any]

INITIALIZATIONS: Registry[Callable[..., Parameters]] = Registry(
    "initialization", "harness.initializations", "rnn_harness.initializations"
)

Scheme = Callable[..., Parameters]
WhyNot = Callable[[Cell], str | None]


def only_where(why_not: WhyNot) -> Callable[[Scheme], Scheme]:
    """Decorator of a scheme that some cells cannot have: `why_not` gives the reason, or None where it can."""

    def mark(scheme: Scheme) -> Scheme:
        scheme.why_not = why_not  # type: ignore[attr-defined] # read by `why_unsupported` alone
        return scheme

    return mark


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and above 0."""
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} must be finite and > 0, got {value}")


@dataclass(frozen=True)
class Blocks:
    """The cell and sizes to be filled, the random stream, and the gain of the recurrent weights."""

    cell: Cell
    input_size: int
    hidden_size: int
    rng: np.random.Generator
    gain: float

    def recurrent(self, draw: Callable[[], Array]) -> Array:
        """weight_hh (G·H, H): one draw of an (H, H) block per gate, in gate order, times the gain."""
        return self.gain * np.concatenate([draw() for _ in self.cell.gates])

    def normal(self, standard_deviation: float) -> Array:
        """One (H, H) block of independent normals."""
        return standard_deviation * self.rng.standard_normal((self.hidden_size, self.hidden_size))

    def normal_input(self, standard_deviation: float) -> Array:
        """weight_ih (G·H, I) of independent normals."""
        return standard_deviation * self.rng.standard_normal(self.shapes["weight_ih"])

    def xavier_input(self) -> Array:
        """weight_ih (G·H, I), each block U(−a, a) with a = √(6/(I+H)) (Glorot & Bengio 2010)."""
        bound = np.sqrt(6.0 / (self.input_size + self.hidden_size))
        return self.rng.uniform(-bound, bound, self.shapes["weight_ih"])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.cell.parameter_shapes(self.input_size, self.hidden_size)

    def parameters(self, **arrays: Array) -> Parameters:
        """The given arrays, and zeros for all that is not given: biases, and a cell's extras.

        Zero extras (peepholes, gate recurrences) make such a cell start as the plain one.
        """
        zeros = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        return Parameters.from_arrays({**zeros, **arrays})
