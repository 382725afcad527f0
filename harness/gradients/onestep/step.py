"""What every structured form of a step has, and the arithmetic that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from harness.gradients.namespace import Space, namespace_of
from implementations.contract import Cell, Parameters

Native = Any
"""An array of the space."""


class OneStep(ABC):
    """One cell with its parameters.

    Args:
        cell, parameters: the network, in NumPy.
        space: where to compute.
    """

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        self.cell, self.space = cell, space
        self.hidden_size = parameters.hidden_size
        self.weight_ih = space.put(parameters.weight_ih)
        self.weight_hh = space.put(parameters.weight_hh)
        self.bias_ih = space.put(parameters.bias_ih)
        self.bias_hh = space.put(parameters.bias_hh)

    @classmethod
    def fits(cls, cell: Cell) -> bool:
        """Whether this form is that of `cell`, an instance of the class that it was written for."""
        return True

    @property
    def matrices_per_step(self) -> int:
        """H×H matrices per sample that `combine` makes of each step: decides how many steps it is given."""
        return 0

    @abstractmethod
    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        """The state after one step, from what `input_products` made of its input."""

    def run(self, products: Native, states: Sequence[Native]) -> None:
        """The states after n steps, from what `input_products` made of their inputs, (n, …).

        Args:
            states: (n + 1, B, H) each; the first of each are given, the others are written.
        """
        state = tuple(kept[0] for kept in states)
        for t, a_x in enumerate(products, 1):
            state = self.advance(a_x, state)
            for kept, array in zip(states, state, strict=True):
                kept[t] = array

    def factors(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """What `apply` needs of n steps: inputs (n, B, I), states before (n, B, H) each -> (n, …) each."""
        return self.combine(self.slopes(inputs, states))

    def combine(self, slopes: tuple[Native, ...]) -> tuple[Native, ...]:
        """The same, from the slopes of those steps."""
        return slopes

    @abstractmethod
    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        """P·J_i in plain numbers: rows of P as one (B, R, H) per state; what is given stays as it is.

        Args:
            out: where to put the result, contiguous; somewhere new where empty.
        """

    @abstractmethod
    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        """J_i, (B, S, S)."""

    @abstractmethod
    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """What `pull` needs of n steps, vectors alone: as `factors`, (n, B, …) each."""

    @abstractmethod
    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        """vᵀJ of one step, with no matrix but the weights.

        Args:
            rows: of v, one (B, R, H) per state.
            slopes: of the step, (B, …) each.

        Returns:
            vᵀJ alike, and what of it reached the pre-activations, linear in v: (B, R, G·H) at what
            `input_products` and at what `hidden_products` returned.
        """

    def parameter_gradients(
        self,
        reached: tuple[Native, ...],
        slopes: tuple[Native, ...],
        x: Native,
        state: tuple[Native, ...],
    ) -> dict[str, Native]:
        """dL/d parameter, summed over samples and rows, from what `pull` says was reached; x (B, I)."""
        at_input, at_hidden = (array.sum(1) for array in reached)
        return {
            "weight_ih": at_input.T @ x,
            "weight_hh": at_hidden.T @ self.read(state),
            "bias_ih": at_input.sum(0),
            "bias_hh": at_hidden.sum(0),
        }

    def through_gates(self, delta: Native, slopes: tuple[Native, ...]) -> tuple[Native, Native]:
        """What gradients of all pre-activations of a step pass on, taken together as they are.

        Args:
            delta: (B, R, G·H), of what stands inside each gate's σ or tanh.
            slopes: of the step, (B, …) each.

        Returns:
            Their share of dL/dh, (B, R, H), and of the gradient of W_hh h + b_hh, (B, R, G·H).
        """
        return times_shared(delta, self.weight_hh), delta

    def past_gates(self, rows: Sequence[Native], slopes: tuple[Native, ...]) -> Native:
        """What of dL/dh goes through a step without any of its gates, (B, R, H): v as of `pull`.

        Zeros here: of a simple network and of an LSTM, the gates alone read h.
        """
        return self.space.xp.zeros_like(rows[0])

    def from_gates(
        self, delta: Native, slopes: tuple[Native, ...], x: Native, state: tuple[Native, ...]
    ) -> dict[str, Native]:
        """dL/d parameter from gradients of the pre-activations."""
        return self.parameter_gradients((delta, self.through_gates(delta, slopes)[1]), slopes, x, state)

    def read(self, state: tuple[Native, ...]) -> Native:
        """What W_hh multiplies."""
        return state[0]

    def weight(self, gate: str) -> Native:
        """U_gate, (H, H)."""
        return self.cell.gate(self.weight_hh, gate)

    def gates_of(self, array: Native) -> list[Native]:
        """(…, G·H) as one (…, H) per gate."""
        size = self.hidden_size
        return [array[..., g * size : (g + 1) * size] for g in range(len(self.cell.gates))]

    def input_products(self, inputs: Native) -> Native:
        """W_ih x + b_ih of many steps: (n, B, I) -> (n, B, G·H)."""
        return one_product(inputs, self.weight_ih.T) + self.bias_ih

    def hidden_products(self, h: Native) -> Native:
        """W_hh h + b_hh: (…, H) -> (…, G·H)."""
        return one_product(h, self.weight_hh.T) + self.bias_hh

    def sigmoid(self, a: Native) -> Native:
        """σ(a); e^−a may overflow, and σ is 0 there."""
        return 1 / (1 + self.space.xp.exp(-a))

    def side_by_side(self, gates: Sequence[str]) -> Native:
        """The weights U_gate as `combined` takes them, (H, q, H)."""
        return self.space.xp.stack([self.weight(gate) for gate in gates], 1)

    def combined(self, diagonals: Sequence[Native], weights: Native) -> Native:
        """Σ_q diag(d_q) U_q for every step and sample: (n, B, H) each and (H, q, H) -> (n, B, H, H).

        Row a of the result is a short product, (n·B, q) by (q, H), for each a: one pass over memory, in which
        the rows of one matrix do not lie beside each other.
        """
        xp = self.space.xp
        steps, batch_size, size = diagonals[0].shape
        left = xp.stack(list(diagonals), -1).reshape(steps * batch_size, size, len(diagonals))
        rows = xp.matmul(left.swapaxes(0, 1), weights)
        return xp.moveaxis(rows.reshape(size, steps, batch_size, size), 0, 2)

    def diagonal(self, values: Native) -> Native:
        """diag(values_b): (B, H) -> (B, H, H)."""
        return values[:, :, None] * self.space.put(_eye(self.hidden_size))

    def add_diagonal(self, matrices: Native, values: Native) -> Native:
        """diag(values) added in place to the last two axes: (…, H, H), (…, H)."""
        every = self.space.xp.arange(self.hidden_size)
        matrices[..., every, every] += values
        return matrices


def squared_norms(xp: Any, columns: Sequence[Native]) -> Native:
    """Of the rows of each state's block: (…, R, H) each -> (states, …, R)."""
    squares = [xp.einsum("...c,...c->...", block, block) for block in columns]
    return xp.stack(squares) if len(squares) > 1 else squares[0][None]


def one_product(vectors: Native, weight: Native) -> Native:
    """(…, K)·(K, N) as one product of matrices, not one for each of the leading axes."""
    if len(vectors.shape) <= 2:
        return vectors @ weight
    return (vectors.reshape(-1, vectors.shape[-1]) @ weight).reshape(*vectors.shape[:-1], weight.shape[1])


def times_shared(columns: Native, weight: Native, out: Native | None = None) -> Native:
    """(B, R, K)·(K, H) as one product for all samples; `out` must be contiguous."""
    batch_size, rows, size = columns.shape
    flat = None if out is None else out.reshape(batch_size * rows, -1)
    product = namespace_of(columns).matmul(columns.reshape(batch_size * rows, size), weight, out=flat)
    return product.reshape(batch_size, rows, weight.shape[1])


def _eye(size: int) -> Any:
    import numpy as np

    return np.eye(size)
