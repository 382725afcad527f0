"""What mean-field theory expects of a drawn network, as facts that stand beside what was measured.

The theory is for recurrent weights whose entries are independent and centred (or a random rotation of such),
and large hidden sizes.  Its gain and input variance are those of the very weights and inputs of the case, so
that one formula serves every such initialization.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.case import Case, Scalar
from harness.gradients import edge_of_chaos_gain, tanh_mean_field
from implementations.contract import Parameters
from implementations.registry import CELLS

ACTIVATIONS = {
    "rnn_tanh": "tanh",
    "rnn_tanh_preactivation": "tanh",
    "rnn_relu": "relu",
    "rnn_relu_preactivation": "relu",
    "rnn_linear": "linear",
}
RANDOM = frozenset(
    {
        *("pytorch_uniform", "xavier_uniform", "xavier_normal", "kaiming", "gaussian", "critical"),
        *("orthogonal", "spectral_radius", "sparse"),
    }
)
"""Initializations whose recurrent weights are random in the sense of the theory."""

NAMES = ("effective_gain", "input_variance", "chi", "mean_field_exponent", "critical_gain")


def mean_field_facts(case: Case, parameters: Parameters, inputs: NDArray[Any]) -> dict[str, Scalar]:
    """Facts of a case; None each where the theory does not apply.

    effective_gain: g with g² = H·mean(W_hh²).  input_variance: σ², the mean square of what inputs and biases
    add to a pre-activation.  chi: χ, the growth of a perturbation's mean square per step: g²·E sech⁴ for
    tanh, g²/2 for ReLU, g² for the linear network.  mean_field_exponent: ½·ln χ, nats per step.
    critical_gain: the value of the axis `gain` at which χ = 1 for this draw.

    Args:
        inputs: (T, B, I).
    """
    activation = ACTIVATIONS.get(str(case.axes["cell"]))
    gain = float(np.sqrt(parameters.hidden_size * np.mean(parameters.weight_hh**2)))
    if activation is None or case.axes["initialization"] not in RANDOM or gain == 0.0:
        return dict.fromkeys(NAMES)
    drive = inputs @ parameters.weight_ih.T + parameters.bias_ih + parameters.bias_hh
    variance = float(np.mean(drive**2))
    if activation == "tanh":
        chi, critical = tanh_mean_field(gain, variance).chi, edge_of_chaos_gain(variance)
    else:
        kept = 0.5 if activation == "relu" else 1.0
        chi, critical = kept * gain**2, 1.0 / math.sqrt(kept)
    return {
        "effective_gain": gain,
        "input_variance": variance,
        "chi": chi,
        "mean_field_exponent": 0.5 * math.log(chi),
        "critical_gain": float(case.axes["gain"] or 0.0) * critical / gain,
    }


def log10_forget_gate_rms(cell: str, parameters: Parameters, lags: Iterable[int]) -> NDArray[np.float64]:
    """log10 of the root mean square over units of σ(b_f)^lag, (L,): ‖∂c_t/∂c_k‖_F/√H of an LSTM whose gates
    see nothing but their biases.

    Where the biases spread, as under chrono, this mean over time constants falls more slowly than any of
    them falls; b_f is the sum b_ih + b_hh.
    """
    return _log10_rms(np.outer(np.asarray(list(lags), np.float64), _log_gate(cell, parameters, "f")))


def log10_written_rms(cell: str, parameters: Parameters, lags: Iterable[int]) -> NDArray[np.float64]:
    """log10 of the root mean square over units of σ(b_i) σ(b_f)^(lag−1), (L,): what is left in the cell of
    what a step wrote, lag − 1 steps before; −inf at lag 0.
    """
    steps = np.asarray(list(lags), np.float64) - 1.0
    logs = _log_gate(cell, parameters, "i") + np.outer(steps, _log_gate(cell, parameters, "f"))
    return np.where(steps < 0, -np.inf, _log10_rms(logs))


def _log_gate(cell: str, parameters: Parameters, gate: str) -> NDArray[np.float64]:
    """ln σ(b_ih + b_hh) of one gate, (H,)."""
    definition = CELLS[cell]
    bias = definition.gate(parameters.bias_ih, gate) + definition.gate(parameters.bias_hh, gate)
    return -np.logaddexp(0.0, -bias)


def _log10_rms(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """log10 of the root mean square over the last axis of e^logs."""
    top = logs.max(axis=-1)
    mean = np.mean(np.exp(2.0 * (logs - top[..., None])), axis=-1)
    return np.asarray((top + 0.5 * np.log(mean)) / math.log(10.0))
