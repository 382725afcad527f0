"""Depth decay: how far do gradients reach through time and depth, between the layers of a structure?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.case import Case
from harness.gradients import ForwardDiverged, depth_decay
from harness.initializations import initialize_stack
from harness.inputs import make_inputs
from harness.measure.outlook import Outlook
from harness.measure.structured import count_parameters
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy
from harness.studies.structures import StructureName
from harness.studies.study import STUDIES, Context, Size, StudyAxes
from implementations.registry import CELLS
from implementations.structure import Structure

ALL_LAGS_UP_TO = 128
LOG_SPACED_LAGS = 96


class DepthDecayAxes(NetworkAxes):
    structure: list[StructureName] = ["1 layer"]
    batch_size: Size = 2


def chosen_lags(lowest: int, highest: int) -> NDArray[np.int64]:
    """All from −128 to 128; beyond, 96 in equal ratios on either side, rounded and each once."""
    found = [np.arange(max(lowest, -ALL_LAGS_UP_TO), min(highest, ALL_LAGS_UP_TO) + 1)]
    for sign, end in ((-1, -lowest), (1, highest)):
        if end > ALL_LAGS_UP_TO:
            spaced = np.rint(np.geomspace(ALL_LAGS_UP_TO, end, LOG_SPACED_LAGS)).astype(np.int64)
            found.append(sign * spaced)
    return np.unique(np.concatenate(found))


class DepthDecayStudy(NetworkStudy):
    """Columns: later_layer l, earlier_layer m (l >= m, from 1), lag, sample, log10_spectral_norm of
    ∂h^l_t/∂h^m_k (an exact zero is −inf).  t is T, or the middle of the sequence where the structure reads
    both ways: a lag below 0 is then that of a later step, of which t hears too.

    Facts: anchor (t), parameters (how many numbers).
    """

    name = "depth_decay"
    question = "How far does the gradient reach through time and depth?"
    Axes: ClassVar[type[StudyAxes]] = DepthDecayAxes

    def why_not(self, case: Case, context: Context) -> str | None:
        """The reason where the initialization cannot be had, or residual connections make no difference."""
        structure, sizes = Structure.parse(str(case.axes["structure"])), Sizes.of(case)
        refused = super().why_not(case, context)
        return refused or structure.why_nothing_is_added(sizes.input_size, sizes.hidden_size)

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """A sweep down from every layer; B·D·H rows, each at the cost of a step's backward."""
        structure, sizes = Structure.parse(str(case.axes["structure"])), Sizes.of(case)
        gates = len(CELLS[str(case.axes["cell"])].gates)
        sweeps = structure.directions * structure.num_layers * (structure.num_layers + 1) / 2
        rows = sizes.batch_size * structure.directions
        products = 8.0 * gates * sweeps * sizes.seq_len * rows
        calls = 900.0 * sweeps * sizes.seq_len
        return outlook.calls(calls) + outlook.products(products, sizes.hidden_size)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        sizes, structure = Sizes.of(case), Structure.parse(axes["structure"])
        layers = initialize_stack(
            axes["initialization"],
            axes["cell"],
            structure,
            sizes.input_size,
            sizes.hidden_size,
            seed=axes["seed"],
            gain=axes["gain"],
            forget_bias=axes["forget_bias"],
        )
        inputs = make_inputs(
            axes["inputs"],
            sizes.seq_len,
            sizes.batch_size,
            sizes.input_size,
            seed=axes["seed"],
            corpus=context.corpus,
        )
        both = structure.bidirectional
        anchor = (sizes.seq_len + 1) // 2 if both else sizes.seq_len
        lags = chosen_lags(anchor - sizes.seq_len if both else 0, anchor - 1)
        try:
            found = depth_decay(
                axes["cell"], layers, inputs, anchor=anchor, lags=lags.tolist(), **structure.options
            )
        except ForwardDiverged as error:
            return Unsupported(str(error))
        frame = found.to_frame()
        return Measured(
            {str(name): frame[name].tolist() for name in frame},
            {
                "anchor": anchor,
                "parameters": count_parameters(axes["cell"], structure, sizes.input_size, sizes.hidden_size),
            },
        )


STUDIES.register("depth_decay")(DepthDecayStudy())
