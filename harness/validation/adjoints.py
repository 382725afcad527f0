"""Back-propagation against the Jacobians that it is the transpose of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.networks import drawn
from harness.validation.row import Row, close
from implementations.registry import CELLS


@check("adjoints")
def identity() -> Iterator[Row]:
    """⟨u, Jv⟩ = ⟨Jᵀu, v⟩: v forwards by step_jacobian, u backwards by step_backward, at several lags."""
    for cell in CELLS:
        network = drawn(cell, seq_len=20, hidden_size=5, batch_size=3, gain=1.4)
        definition, states = CELLS[cell], network.states()
        rng = np.random.default_rng(9)
        size = 5 * len(network.start)
        u, v = rng.standard_normal((2, 3, size))
        forward, backward = [], []
        for lag in (1, 4, 20):
            jv, jtu = v, u
            for jacobian in network.jacobians()[20 - lag :]:
                jv = np.einsum("bij,bj->bi", jacobian, jv)
            for t in range(20, 20 - lag, -1):
                grad = tuple(np.split(jtu, len(network.start), axis=1))
                step = definition.step_backward(
                    network.parameters, network.inputs[t - 1], states[t - 1], grad
                )
                jtu = np.concatenate(step.state, axis=1)
            forward.append((u * jv).sum(axis=1))
            backward.append((jtu * v).sum(axis=1))
        yield close(f"{cell}: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, lags 1, 4, 20", forward, backward, 1e-12, relative=True)


@check("adjoints")
def transpose() -> Iterator[Row]:
    """‖dL/dh_k‖ is the norm of the h part of Pᵀu, at every k."""
    for cell in CELLS:
        network = drawn(cell, seq_len=15, hidden_size=4, gain=1.4)
        rng = np.random.default_rng(4)
        final = tuple(rng.standard_normal((2, 4)) for _ in network.start)
        found = gradients.adjoint_decay(
            cell, network.parameters, network.inputs, initial_state=network.start, grad_final_state=final
        )
        u = np.concatenate(final, axis=1)
        expected = [
            np.linalg.norm(np.einsum("bij,bi->bj", network.product(15, k), u)[:, :4], axis=1)
            for k in range(16)
        ]
        yield close(
            f"{cell}: log10 ‖dL/dh_k‖ = log10 ‖Pᵀu‖, k = 0…15", np.log10(expected), found.log10_total, 1e-10
        )
