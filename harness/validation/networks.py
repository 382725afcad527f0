"""The networks that checks are made on, and their products in plain arithmetic, factor by factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import gradients
from harness.initializations import initialize
from harness.validation.formulas import Array, State
from implementations.contract import Parameters
from implementations.registry import CELLS


@dataclass(frozen=True)
class Network:
    """A cell with its parameters, its inputs (T, B, I) and the state (B, H) it starts from."""

    cell: str
    parameters: Parameters
    inputs: Array
    start: State

    def states(self) -> list[State]:
        """The state after 0…T steps, by the cell's own step."""
        found = [self.start]
        for x in self.inputs:
            found.append(CELLS[self.cell].step(self.parameters, x, found[-1]))
        return found

    def jacobians(self) -> list[Array]:
        """J_1 … J_T, (B, S, S) each, by the cell's own step_jacobian."""
        states = self.states()[:-1]
        return [
            CELLS[self.cell].step_jacobian(self.parameters, x, state)
            for x, state in zip(self.inputs, states, strict=True)
        ]

    def product(self, later: int, earlier: int) -> Array:
        """P(t, k) = J_t … J_{k+1}, (B, S, S)."""
        factors = self.jacobians()[earlier:later]
        size = sum(array.shape[1] for array in self.start)
        product = np.broadcast_to(np.eye(size), (self.inputs.shape[1], size, size))
        for factor in factors:
            product = factor @ product
        return product

    def block(self, product: Array, name: str) -> Array:
        """The block "hh", "hc", …, one letter per state, or "ss", of (B, S, S)."""
        size = self.parameters.hidden_size
        names = CELLS[self.cell].state_names
        place = {name: slice(n * size, (n + 1) * size) for n, name in enumerate(names)} | {"s": slice(None)}
        return product[:, place[name[0]], place[name[1]]]


def blocks_of(cell: str) -> tuple[str, ...]:
    """All blocks of a cell's state Jacobian that the engine names."""
    names = CELLS[cell].state_names
    return (*(a + b for a in names for b in names), *(("ss",) if len(names) > 1 else ()))


def drawn(
    cell: str,
    *,
    seq_len: int,
    hidden_size: int,
    batch_size: int = 2,
    gain: float = 1.3,
    seed: int = 0,
    dtype: str = "float64",
) -> Network:
    """A Gaussian network, with biases and extras, under white noise, from a random state; in this dtype."""
    rng = np.random.default_rng([seed, 77])
    plain = initialize("gaussian", cell, 3, hidden_size, seed=seed, gain=gain)
    arrays = {
        name: 0.3 * rng.standard_normal(array.shape) if array.ndim == 1 or name in plain.extras else array
        for name, array in plain.arrays().items()
    }
    border = "float64" if dtype == "float64" else "float32"
    inputs = rng.standard_normal((seq_len, batch_size, 3)).astype(border)
    start = tuple(
        0.5 * rng.standard_normal((batch_size, hidden_size)).astype(border) for _ in CELLS[cell].state_names
    )
    return Network(
        cell,
        Parameters.from_arrays(arrays).astype(border).astype("float64"),
        inputs.astype("float64"),
        tuple(array.astype("float64") for array in start),
    )


def autonomous(
    cell: str, weight: Array, *, bias: float | Array = 0.0, start: float = 0.0, seq_len: int
) -> Network:
    """A simple RNN with this W_hh (H, H), no input, and every unit starting from `start`."""
    size = len(weight)
    bias_ih = np.broadcast_to(np.asarray(bias, dtype=np.float64), (size,)).copy()
    parameters = Parameters(np.zeros((size, 1)), np.asarray(weight, float), bias_ih, np.zeros(size))
    return Network(cell, parameters, np.zeros((seq_len, 1, 1)), (np.full((1, size), start),))


def biases_alone(cell: str, biases: Mapping[str, Array], *, seq_len: int, start: float = 0.5) -> Network:
    """A gated cell with all weights 0; gate -> b_ih + b_hh (H,), 0 where not named.  Both biases share it."""
    size = len(next(iter(biases.values())))
    arrays = {name: np.zeros(shape) for name, shape in CELLS[cell].parameter_shapes(1, size).items()}
    for gate, bias in biases.items():
        CELLS[cell].gate(arrays["bias_ih"], gate)[:] = 0.75 * bias
        CELLS[cell].gate(arrays["bias_hh"], gate)[:] = 0.25 * bias
    state = tuple(np.full((1, size), start) for _ in CELLS[cell].state_names)
    return Network(cell, Parameters.from_arrays(arrays), np.zeros((seq_len, 1, 1)), state)


def orthogonal(size: int, seed: int = 0) -> Array:
    """An orthogonal (N, N) matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def normal_matrix(eigenvalues: Array, seed: int = 0) -> Array:
    """Q diag(λ) Qᵀ."""
    q = orthogonal(len(eigenvalues), seed)
    return q @ np.diag(eigenvalues) @ q.T


def decay(network: Network, **options: Any) -> gradients.Decay:
    """`jacobian_decay` of the network."""
    return gradients.jacobian_decay(
        network.cell, network.parameters, network.inputs, initial_state=network.start, **options
    )


def spectrum(network: Network, lag: int) -> Array:
    """`singular_spectrum` of the network at T."""
    return gradients.singular_spectrum(
        network.cell, network.parameters, network.inputs, initial_state=network.start, lag=lag
    )
