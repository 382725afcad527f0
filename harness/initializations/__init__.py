"""How a network's parameters start: a name, a cell and a size give `Parameters`.

One scheme is one file in this folder (close relatives share one), with its formula and its paper.  `gain`
always scales the recurrent weights alone, so that sweeping it moves ∂h_t/∂h_{t−1} and leaves the input drive
as it was.  `forget_bias` fixes the sum b_ih + b_hh of the forget gate: it stands in `bias_ih`, and `bias_hh`
is zero there.  A scheme that a cell cannot have says why (`why_unsupported`).
"""

from harness.initializations.entrance import initialize, why_unsupported
from harness.initializations.scheme import INITIALIZATIONS, Blocks
from harness.initializations.stacked import initialize_stack

__all__ = ["INITIALIZATIONS", "Blocks", "initialize", "initialize_stack", "why_unsupported"]
