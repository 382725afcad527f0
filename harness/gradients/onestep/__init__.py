"""One step of each cell as what a product of Jacobians needs of it: diagonals and weights, no full matrices.

∂s_t/∂s_{t−1} is made of the cell's few H×H weights and of diagonals that change from step to step.  The
diagonals of many steps are computed at once; a product then goes through a step in as few H×H products as the
cell's structure allows: one for a simple RNN or a GRU, two for an LSTM, whose state is twice as wide.  The
code is written once for NumPy and torch.  A cell whose structure is not given here goes through its own
`step_jacobian`, in NumPy.
"""

from __future__ import annotations

from harness.gradients.kernels import loaded_kernels
from harness.gradients.namespace import Space
from harness.gradients.onestep.compiled import CompiledLSTMStep, CompiledSimpleStep, CompiledStep
from harness.gradients.onestep.dense import DenseStep
from harness.gradients.onestep.gru import GRUResetBeforeStep, GRUStep
from harness.gradients.onestep.lstm import LSTMStep
from harness.gradients.onestep.lstm_variants import LSTMVariantStep
from harness.gradients.onestep.simple import PreactivationStep, SimpleStep
from harness.gradients.onestep.step import OneStep, squared_norms
from implementations.cells.gru import GRU, GRUResetBefore
from implementations.cells.lstm import LSTM
from implementations.cells.lstm_variants import LSTMVariant
from implementations.cells.rnn import PreactivationRNN, SimpleRNN
from implementations.contract import Cell, Parameters

STRUCTURED: dict[type[Cell], type[OneStep]] = {
    SimpleRNN: SimpleStep,
    PreactivationRNN: PreactivationStep,
    LSTM: LSTMStep,
    LSTMVariant: LSTMVariantStep,
    GRU: GRUStep,
    GRUResetBefore: GRUResetBeforeStep,
}
"""By the very class: a class derived from one of these may have other equations."""

COMPILED: dict[type[OneStep], type[CompiledStep]] = {
    SimpleStep: CompiledSimpleStep,
    LSTMStep: CompiledLSTMStep,
}
"""Those that have kernels, in NumPy and float64."""


_ONE_READS_ANOTHER: tuple[type[OneStep], ...] = (GRUStep, GRUResetBeforeStep)
"""Cells in which one gate reads another, and which know what all of them pass on."""


def gates_pass_on(cell: Cell) -> bool:
    """Whether `OneStep.through_gates` is right for this cell: gradients of its gates can be clipped."""
    return cell.direct_gates or STRUCTURED.get(type(cell)) in _ONE_READS_ANOTHER


def one_step(cell: Cell, parameters: Parameters, space: Space) -> OneStep:
    """The structured form of a cell, or the dense one where there is none.

    Raises:
        ValueError: a cell without a structured form, on a device.
    """
    kind = STRUCTURED.get(type(cell))
    if kind is not None and kind.fits(cell):
        usable = space.is_numpy and space.dtype == "float64"
        kernels = loaded_kernels(parameters.hidden_size) if usable else {}
        if kernels and kind in COMPILED:
            return COMPILED[kind](cell, parameters, space, kernels)
        return kind(cell, parameters, space)
    if space.is_numpy:
        return DenseStep(cell, parameters, space)
    raise ValueError(f"{cell.name} can be analysed on device 'cpu' alone: it has no structured form")


__all__ = ["CompiledStep", "DenseStep", "OneStep", "gates_pass_on", "one_step", "squared_norms"]
