"""What theory says of the decay, to lay over the measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.gradients.arguments import checked_anchor, checked_lags
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import Array, run_forward
from implementations.contract import Cell, Parameters
from implementations.registry import CELLS

LARGEST_SLOPE = {
    "rnn_tanh": 1.0,
    "rnn_relu": 1.0,
    "rnn_linear": 1.0,
    "rnn_tanh_preactivation": 1.0,
    "rnn_relu_preactivation": 1.0,
}
"""max‖φ'‖, the β_h of the bound, of every cell that is one matrix and one activation."""


def has_norm_bound(cell: str) -> bool:
    """Whether (β_W β_h)^lag is defined: the cell is a simple RNN."""
    return cell in LARGEST_SLOPE


def log10_norm_bound(cell: str, parameters: Parameters, lags: Iterable[int]) -> Array:
    """log10 of (β_W β_h)^(t−k), the bound on ‖∂h_t/∂h_k‖₂ of a simple RNN, (L,).

    β_W = ‖W_hh‖₂, the largest singular value (not the spectral radius, which bounds nothing at finite lag);
    β_h = max‖φ'‖.

    Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks",
    equation 6 and what follows it.

    Raises:
        ValueError: a cell that is no simple RNN.
    """
    if not has_norm_bound(cell):
        raise ValueError(
            f"{cell} has no bound (β_W β_h)^lag: it holds for {', '.join(LARGEST_SLOPE)}; "
            "log10_product_bound holds for every cell"
        )
    norm = float(np.linalg.norm(parameters.weight_hh.astype(np.float64), 2))
    steps = np.asarray(list(lags), dtype=np.float64)
    if norm == 0.0:
        return np.where(steps > 0, -np.inf, 0.0)
    return steps * np.log10(LARGEST_SLOPE[cell] * norm)


def log10_product_bound(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    anchor: int | None = None,
    lags: Iterable[int] | None = None,
) -> Array:
    """log10 of Π‖J_j‖₂ over the steps between, a bound on ‖∂s_t/∂s_k‖₂ of every cell, (L, B).

    Raises:
        ValueError, ForwardDiverged: as `jacobian_decay`.
    """
    t = checked_anchor(anchor, len(inputs))
    wanted = checked_lags(lags, t)
    trajectory = run_forward(cell, parameters, inputs, initial_state=initial_state, steps=t)
    total = np.zeros((int(wanted[-1]) + 1, trajectory.batch_size))
    with threads_for(trajectory.state_size), np.errstate(divide="ignore"):
        for lag in range(1, len(total)):
            norm = np.linalg.norm(trajectory.jacobian(t - lag + 1), 2, axis=(-2, -1))
            total[lag] = total[lag - 1] + np.log10(norm)
    return total[wanted]


def log10_forget_gate_decay(cell: str, parameters: Parameters, lags: Iterable[int]) -> Array:
    """log10 of σ(b_f)^lag, (L,): the cell path of an LSTM whose gates see nothing but their biases.

    The largest over the units, as a spectral norm is.  b_f is the sum b_ih + b_hh of the forget gate.

    Raises:
        ValueError: a cell without a forget gate.
    """
    definition: Cell = CELLS[cell]
    if "f" not in definition.gates:
        raise ValueError(f"{cell} has no forget gate f; its gates are {', '.join(definition.gates)}")
    bias = definition.gate(parameters.bias_ih, "f") + definition.gate(parameters.bias_hh, "f")
    log_sigmoid = -np.logaddexp(0.0, -bias.astype(np.float64))
    return np.asarray(list(lags), dtype=np.float64) * (log_sigmoid.max() / np.log(10.0))
