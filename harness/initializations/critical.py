"""A random network at the edge of chaos."""

from __future__ import annotations

import math

import numpy as np

from harness.gradients.mean_field import edge_of_chaos_gain
from harness.initializations.scheme import INITIALIZATIONS, Blocks, only_where
from implementations.contract import Cell, Parameters

_BY_CELL = {
    "rnn_tanh": "tanh",
    "rnn_tanh_preactivation": "tanh",
    "rnn_relu": "relu",
    "rnn_relu_preactivation": "relu",
    "rnn_linear": "linear",
}
_CANDIDATES = ("g", "n")
"""The gates of a gated cell that pass through tanh."""


def _why_not(cell: Cell) -> str | None:
    if cell.name in _BY_CELL or any(gate in cell.gates for gate in _CANDIDATES):
        return None
    return f"critical is for {', '.join(_BY_CELL)} and cells with a tanh gate g or n, got {cell.name}"


@INITIALIZATIONS.register("critical")
@only_where(_why_not)
def critical(blocks: Blocks, *, input_variance: float = 1.0) -> Parameters:
    """Recurrent entries N(0, (gain·g_c)²/H) with g_c the gain at which χ = 1; input N(0, 1/I); zero biases.

    So `gain` is relative to the critical one: below 1 gradients vanish, above 1 they explode.  For tanh,
    χ = g²·E sech⁴(√q z) at q = g²·E tanh²(√q z) + σ², solved by `edge_of_chaos_gain`: g_c = 1 without input
    and 1.8556 at σ² = 1.  For ReLU, χ = g²/2 and g_c = √2; for the linear network g_c = 1; both whatever the
    input.

    In a gated cell the condition is not the whole network's: the block of the tanh candidate (g of an LSTM, n
    of a GRU) gets the critical gain of tanh, the blocks behind σ get 1, both times `gain`.

    Source: Sompolinsky, Crisanti & Sommers 1988, "Chaos in random neural networks"; with input: Molgedey,
    Schuchhardt & Schuster 1992, "Suppressing chaos in neural networks by noise"; ReLU: He et al. 2015.

    Args:
        input_variance: mean square of an input's entries, which here is the variance σ² that they add to each
            pre-activation (1/I for one-hot vectors); 0 for no input.

    Raises:
        ValueError: a cell whose activation is not known; an input variance below 0 or not finite.
    """
    tanh_gain = edge_of_chaos_gain(input_variance)
    weight_ih = blocks.normal_input(1.0 / math.sqrt(blocks.input_size))
    deviation = 1.0 / math.sqrt(blocks.hidden_size)
    by_activation = {"tanh": tanh_gain, "relu": math.sqrt(2.0), "linear": 1.0}
    gains = [
        by_activation[_BY_CELL[blocks.cell.name]]
        if blocks.cell.name in _BY_CELL
        else (tanh_gain if gate in _CANDIDATES else 1.0)
        for gate in blocks.cell.gates
    ]
    weight_hh = blocks.gain * np.concatenate([blocks.normal(gain * deviation) for gain in gains])
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh)
