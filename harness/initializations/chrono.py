"""Gates whose time constants cover the range of a task."""

from __future__ import annotations

import math

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks, only_where
from implementations.contract import Cell, Parameters

KEEPING_GATES = ("f", "z")
"""The gate that multiplies the old state: an LSTM's forget gate, and z in PyTorch's GRU, h' = (1−z)n + zh."""

T_MAX = 100.0
"""Of `chrono` where none is given."""


def _why_not(cell: Cell) -> str | None:
    if any(gate in cell.gates for gate in KEEPING_GATES):
        return None
    return f"chrono sets the bias of the gate that keeps the state; {cell.name} has none"


@INITIALIZATIONS.register("chrono")
@only_where(_why_not)
def chrono(blocks: Blocks, *, t_max: float = T_MAX) -> Parameters:
    """Forget bias log u, u ~ U[1, t_max − 1], per unit; input bias its negative; other biases zero.

    A unit with bias log u keeps u/(1 + u) of its state per step, a time constant of 1 + u steps.  What the
    spread of time constants up to t_max makes of the decay is worked out in `harness.gradients.chrono_law`.
    In an LSTM it is the forget gate's bias, and the input gate's is its negative; in a GRU the update gate's,
    where z keeps the state (as in PyTorch) and 1 − z lets new in.  The sum b_ih + b_hh is what is fixed:
    `bias_hh` is zero.
    Weights are Xavier uniform in every gate's block.

    Source: Tallec & Ollivier 2018, "Can recurrent neural networks warp time?".

    Args:
        t_max: the longest dependency expected, in steps; at least 2.

    Raises:
        ValueError: a cell without such a gate; t_max below 2 or not finite.
    """
    if not (math.isfinite(t_max) and t_max >= 2.0):
        raise ValueError(f"t_max must be finite and >= 2 (steps), got {t_max}")
    weight_ih = blocks.xavier_input()
    bound = np.sqrt(3.0 / blocks.hidden_size)
    weight_hh = blocks.recurrent(
        lambda: blocks.rng.uniform(-bound, bound, (blocks.hidden_size, blocks.hidden_size))
    )
    bias = np.log(blocks.rng.uniform(1.0, t_max - 1.0, blocks.hidden_size))
    bias_ih = np.zeros(blocks.shapes["bias_ih"])
    keeping = next(gate for gate in KEEPING_GATES if gate in blocks.cell.gates)
    blocks.cell.gate(bias_ih, keeping)[:] = bias
    if "i" in blocks.cell.gates:
        blocks.cell.gate(bias_ih, "i")[:] = -bias
    return blocks.parameters(weight_ih=weight_ih, weight_hh=weight_hh, bias_ih=bias_ih)
