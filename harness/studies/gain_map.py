"""Gain map: at which gain does a network cross from vanishing to exploding, under each initialization?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.case import Case
from harness.gradients import ForwardDiverged, jacobian_decay
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, Positive, Size, StudyAxes
from harness.studies.theory import mean_field_facts

LAGS = 12
"""How many lags the rate is fitted to."""
TRANSIENT = 5
"""Lags below T/5 are left out: there the norm of a non-normal matrix grows though it will decay."""


class GainMapAxes(NetworkAxes):
    gain: list[Positive] = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8]
    input_scale: list[Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]] = [1.0]
    """Factor of the inputs: the input variance of the theory goes with its square."""
    batch_size: Size = 2


class GainMap(NetworkStudy):
    """Columns: lag, sample, log10_spectral_norm of ∂h_t/∂h_k (an exact zero is −inf).  Rate and verdict are
    computed when this is read.  Facts: those of `mean_field_facts`.
    """

    name = "gain_map"
    question = "At which gain does the gradient cross from vanishing to exploding?"
    Axes: ClassVar[type[StudyAxes]] = GainMapAxes
    calls_per_step = 100.0
    products_per_step = 0.3

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        parameters, inputs = draw_network(case, context)
        inputs = axes["input_scale"] * inputs
        lags = fitted_lags(axes["seq_len"])
        try:
            norms = jacobian_decay(axes["cell"], parameters, inputs, lags=lags).log10_spectral_norm["hh"]
        except ForwardDiverged as error:
            return Unsupported(str(error))
        return Measured(
            {
                "lag": np.repeat(lags, norms.shape[1]).tolist(),
                "sample": np.tile(np.arange(norms.shape[1]), len(lags)).tolist(),
                "log10_spectral_norm": norms.ravel().tolist(),
            },
            mean_field_facts(case, parameters, inputs),
        )


def fitted_lags(seq_len: int) -> NDArray[np.int64]:
    """Evenly spaced from T/5 to T."""
    return np.unique(np.rint(np.linspace(seq_len // TRANSIENT, seq_len, LAGS)).astype(np.int64))


STUDIES.register("gain_map")(GainMap())
