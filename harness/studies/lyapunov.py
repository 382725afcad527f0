"""Lyapunov exponents: at which rate does each direction grow or shrink, and has the average settled?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.case import Case
from harness.gradients import (
    ForwardDiverged,
    lyapunov_spectrum,
    random_product_exponents,
)
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, Size, StudyAxes
from harness.studies.theory import mean_field_facts
from implementations.contract import Parameters

FEWEST_STEPS = 10
"""Of the shortest average in the running convergence."""
RUNNING_POINTS = 12
"""How many averages the running convergence has at the most."""
INDEPENDENT_ENTRIES = ("gaussian", "pytorch_uniform", "xavier_uniform", "xavier_normal", "kaiming")


class LyapunovAxes(NetworkAxes):
    batch_size: Size = 2
    warmup: Annotated[int, Field(ge=0, strict=True)] = 100
    """Steps that are run and not averaged."""


class LyapunovStudy(NetworkStudy):
    """Columns: steps (how many were averaged), index (1 is the largest), exponent (nats per step; −inf for a
    direction that dies), standard_error (of the average over all steps; null elsewhere).  In the linear
    network, whose Jacobian is W_hh at every step, also exponent_theory, ln|eigenvalue| of W_hh, and
    exponent_random_matrix, of a product of independent Gaussian matrices of that size and variance.

    The averages are of one trajectory: over all steps after the warm-up, and over fewer of the first of them.

    Facts: converged, kaplan_yorke_dimension, entropy_rate (nats per step), over all steps, and those of
    `mean_field_facts`.
    """

    name = "lyapunov"
    question = "At which rate does each direction grow or shrink?"
    Axes: ClassVar[type[StudyAxes]] = LyapunovAxes
    calls_per_step = 430.0
    products_per_step = 2.0

    def why_not(self, case: Case, context: Context) -> str | None:
        axes: dict[str, Any] = dict(case.axes)
        if axes["seq_len"] - axes["warmup"] < FEWEST_STEPS:
            return (
                f"{FEWEST_STEPS} steps after warmup = {axes['warmup']} need a longer T than {axes['seq_len']}"
            )
        return super().why_not(case, context)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        parameters, inputs = draw_network(case, context)
        try:
            found = lyapunov_spectrum(axes["cell"], parameters, inputs, warmup=axes["warmup"])
        except ForwardDiverged as error:
            return Unsupported(str(error))
        places = running_places(found.running_steps)
        size = len(found.exponents)
        theory, random = _expected(case, parameters)
        unknown: list[float | None] = [None] * (size * (len(places) - 1))
        columns: dict[str, list[Any]] = {
            "steps": np.repeat(found.running_steps[places], size).tolist(),
            "index": np.tile(np.arange(1, size + 1), len(places)).tolist(),
            "exponent": [*found.running[places[:-1]].ravel().tolist(), *found.exponents.tolist()],
            "standard_error": unknown + [float(e) if np.isfinite(e) else None for e in found.standard_error],
            "exponent_theory": (theory or [None] * size) * len(places),
            "exponent_random_matrix": (random or [None] * size) * len(places),
        }
        facts = {
            "converged": found.converged,
            "kaplan_yorke_dimension": found.kaplan_yorke_dimension,
            "entropy_rate": found.entropy_rate,
            **mean_field_facts(case, parameters, inputs),
        }
        return Measured(columns, facts)


def running_places(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in `steps` of about ten steps, all of them, and ones between in equal ratios, ascending."""
    wanted = np.geomspace(min(FEWEST_STEPS, int(steps[-1])), int(steps[-1]), RUNNING_POINTS)
    return np.unique(np.searchsorted(steps, np.floor(wanted)))


def _expected(case: Case, parameters: Parameters) -> tuple[list[float | None], list[float | None]]:
    """What is known in closed form, exactly and for large random matrices; empty where nothing is."""
    if case.axes["cell"] != "rnn_linear":
        return [], []
    random: list[float | None] = []
    gain = float(np.sqrt(parameters.hidden_size * np.mean(parameters.weight_hh**2)))
    if case.axes["initialization"] in INDEPENDENT_ENTRIES and gain > 0.0:
        random = random_product_exponents(parameters.hidden_size, gain).tolist()
    with np.errstate(divide="ignore"):
        exact = np.sort(np.log(np.abs(np.linalg.eigvals(parameters.weight_hh))))[::-1]
    return exact.tolist(), random


STUDIES.register("lyapunov")(LyapunovStudy())
