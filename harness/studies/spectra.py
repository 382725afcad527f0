"""Spectra: which directions survive?  All singular values of ∂s_t/∂s_k at chosen lags."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from harness.case import Case
from harness.gradients import ForwardDiverged, singular_spectrum
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, Size, StudyAxes


class SpectraAxes(NetworkAxes):
    lag: list[Size] = [1, 4, 16, 64]
    batch_size: Size = 2


class Spectra(NetworkStudy):
    """Columns: sample, index (1 is the largest), log10_singular_value (an exact zero is −inf), of the product
    over the last `lag` steps.  Condition number and log-volume are computed when this is read.
    """

    name = "spectra"
    question = "Which directions of the gradient survive?"
    Axes: ClassVar[type[StudyAxes]] = SpectraAxes
    calls_per_step = 2700.0
    products_per_step = 5.0

    def why_not(self, case: Case, context: Context) -> str | None:
        axes: dict[str, Any] = dict(case.axes)
        if axes["lag"] > axes["seq_len"]:
            return f"lag {axes['lag']} reaches back beyond the sequence, T = {axes['seq_len']}"
        return super().why_not(case, context)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        parameters, inputs = draw_network(case, context)
        try:
            values = singular_spectrum(axes["cell"], parameters, inputs, lag=axes["lag"])
        except ForwardDiverged as error:
            return Unsupported(str(error))
        samples, size = values.shape
        return Measured(
            {
                "sample": np.repeat(np.arange(samples), size).tolist(),
                "index": np.tile(np.arange(1, size + 1), samples).tolist(),
                "log10_singular_value": values.ravel().tolist(),
            }
        )


STUDIES.register("spectra")(Spectra())
