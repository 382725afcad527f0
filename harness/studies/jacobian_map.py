"""Jacobian map: how strongly does each moment depend on each earlier one?  ‖∂s_t/∂s_k‖ over t and k."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.case import Case, Scalar
from harness.gradients import ForwardDiverged, jacobian_decay
from harness.gradients.products import block_names
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, Seed, Size, StudyAxes, one_of
from implementations.registry import CELLS

BLOCKS = ("hh", "hc", "ch", "cc", "ss")


class JacobianMapAxes(NetworkAxes):
    block: list[Annotated[str, one_of("block", BLOCKS)]] = ["hh"]
    grid: Annotated[int, Field(ge=2, strict=True)] = 32
    """How many times, from 0 to T, the map has along each side at the most."""
    batch_size: Size = 1
    seed: list[Seed] = [0]


class JacobianMap(NetworkStudy):
    """Columns: t, k (k <= t, both on one grid), sample, log10_spectral_norm (an exact zero is −inf)."""

    name = "jacobian_map"
    question = "How strongly does each moment depend on each earlier one?"
    Axes: ClassVar[type[StudyAxes]] = JacobianMapAxes

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """A decay from every point of the grid."""
        states, steps = len(CELLS[str(case.axes["cell"])].state_names), Sizes.of(case).seq_len
        return outlook.calls(45.0 * steps * states * int(case.axes["grid"] or 1))

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; a block that a cell does not have is left out."""
        for point in super().points(axes):
            if point["block"] == "hh" or point["block"] in block_names(CELLS[str(point["cell"])]):
                yield point

    def why_no_points(self, axes: StudyAxes) -> str | None:
        assert isinstance(axes, JacobianMapAxes)
        return ", ".join(
            f"{cell} has no block {' or '.join(axes.block)} (it has {', '.join(block_names(CELLS[cell]))})"
            for cell in axes.cell
        )

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        parameters, inputs = draw_network(case, context)
        times = map_times(axes["seq_len"], axes["grid"])
        block = axes["block"]
        columns: dict[str, list[Any]] = {"t": [], "k": [], "sample": [], "log10_spectral_norm": []}
        for place, t in enumerate(times[1:], start=1):
            earlier = times[place::-1]
            try:
                decay = jacobian_decay(
                    axes["cell"], parameters, inputs, anchor=int(t), lags=t - earlier, blocks=(block,)
                )
            except ForwardDiverged as error:
                return Unsupported(str(error))
            norms = decay.log10_spectral_norm[block]
            columns["t"] += [int(t)] * norms.size
            columns["k"] += np.repeat(earlier, norms.shape[1]).tolist()
            columns["sample"] += np.tile(np.arange(norms.shape[1]), len(earlier)).tolist()
            columns["log10_spectral_norm"] += norms.ravel().tolist()
        return Measured(columns)


def map_times(seq_len: int, grid: int) -> NDArray[np.int64]:
    """At most `grid` times from 0 to T, evenly spaced as far as whole steps can be."""
    return np.unique(np.rint(np.linspace(0, seq_len, min(grid, seq_len + 1))).astype(np.int64))


STUDIES.register("jacobian_map")(JacobianMap())
