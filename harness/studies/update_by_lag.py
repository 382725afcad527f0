"""Update by lag: how much of a weight's update comes from how far back?

The loss is that of the study `clipping`, at the last step alone: ½‖R h_T − y_T‖² with a fixed random readout.
∂L/∂W_hh is the sum of what W_hh did at step T − ℓ, for each lag ℓ, carried to the loss by ∂s_T/∂s_{T−ℓ}.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from harness.case import Case
from harness.gradients import ForwardDiverged, gradient_by_lag
from harness.outcome import Measured, Unsupported
from harness.studies.clipping import loss_gradient
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, StudyAxes


class UpdateByLag(NetworkStudy):
    """Columns: lag ℓ = 0…T−1, log10_term_norm (of the term's Frobenius norm; an exact zero is −inf),
    cumulative_share (Σ over lags up to ℓ of ⟨term, gradient⟩/‖gradient‖²; null where the gradient is zero).

    Facts: log10_gradient_norm, of the sum of all terms.
    """

    name = "update_by_lag"
    question = "How much of an update comes from how far back?"
    Axes: ClassVar[type[StudyAxes]] = NetworkAxes
    calls_per_step = 400.0
    products_per_step = 2.0

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        cell, seed = str(case.axes["cell"]), int(case.axes["seed"] or 0)
        parameters, inputs = draw_network(case, context)
        try:
            gradient = loss_gradient(cell, parameters, inputs, "last", seed)
            found = gradient_by_lag(cell, parameters, inputs, grad_output=gradient[-1])
        except ForwardDiverged as error:
            return Unsupported(str(error))
        shares = [None if np.isnan(share) else float(share) for share in found.cumulative_share]
        return Measured(
            {
                "lag": found.lags.tolist(),
                "log10_term_norm": found.log10_norm.tolist(),
                "cumulative_share": shares,
            },
            {"log10_gradient_norm": found.log10_gradient_norm},
        )


STUDIES.register("update_by_lag")(UpdateByLag())
