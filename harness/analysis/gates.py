"""How much of the state a gated cell carries over: its forget gate, or a GRU's update gate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.analysis.networks import Network
from harness.gradients.trajectory import run_forward
from implementations.cells.arithmetic import hidden_products, input_products, sigmoid

CARRY = ("f", "z")
"""Names of the gate that multiplies the old state."""
GATED = ("lstm", "gru", "gru_reset_before")


def carry_gates(network: Network) -> pd.DataFrame:
    """One row per unit: layer, gate, unit, bias (b_ih + b_hh), mean, quantiles 5 % and 95 % over time and
    samples, and time_constant, −1/ln(mean), the steps in which that gate alone lets 1/e through.

    Empty for a cell whose gates have no such meaning.
    """
    if network.cell.name not in GATED or not network.in_registry:
        return pd.DataFrame()
    name = next(gate for gate in CARRY if gate in network.cell.gates)
    trajectory = run_forward(
        network.cell.name, network.parameters, network.inputs, initial_state=network.initial_state
    )
    parameters = trajectory.parameters
    h = trajectory.states[0][:-1].reshape(-1, parameters.hidden_size)
    x = trajectory.inputs.reshape(len(h), -1)
    rows = input_products(parameters, x) + hidden_products(parameters, h)
    open_ = sigmoid(network.cell.gate(rows.T, name)).T
    mean = open_.mean(axis=0)
    low, high = np.quantile(open_, [0.05, 0.95], axis=0)
    bias = network.cell.gate(parameters.bias_ih + parameters.bias_hh, name)
    with np.errstate(divide="ignore"):
        time_constant = np.where(mean > 0, -1.0 / np.log(mean), 0.0)
    return pd.DataFrame(
        {
            "layer": network.name,
            "gate": name,
            "unit": np.arange(len(mean)),
            "bias": bias,
            "mean": mean,
            "quantile_5": low,
            "quantile_95": high,
            "time_constant": time_constant,
        }
    )
