"""Lyapunov exponents: at which rate does each direction grow or shrink, and has the average settled?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from harness.case import Case
from harness.gradients import (
    ForwardDiverged,
    Lyapunov,
    entropy_rate,
    kaplan_yorke_dimension,
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
INDEPENDENT_ENTRIES = ("gaussian", "pytorch_uniform", "xavier_uniform", "xavier_normal", "kaiming")


class LyapunovAxes(NetworkAxes):
    batch_size: Size = 2
    warmup: Annotated[int, Field(ge=0, strict=True)] = 100
    """Steps that are run and not averaged."""


class LyapunovStudy(NetworkStudy):
    """Columns: steps (how many were averaged), index (1 is the largest), exponent (nats per step; −inf for a
    direction that dies), standard_error (null where it is not known), exponent_theory (ln|eigenvalue| of W_hh
    in the linear network, whose Jacobian is W_hh at every step) and exponent_random_matrix (of a product of
    independent Gaussian matrices of that size and variance, in the linear network), null elsewhere.

    The averages are of one trajectory: over all N steps after the warm-up, the first N/2, N/4, …

    Facts: converged, kaplan_yorke_dimension, entropy_rate (nats per step), all of N steps, and those of
    `mean_field_facts`.
    """

    name = "lyapunov"
    question = "At which rate does each direction grow or shrink?"
    Axes: ClassVar[type[StudyAxes]] = LyapunovAxes

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
        warmup = axes["warmup"]
        try:
            found = {
                steps: lyapunov_spectrum(axes["cell"], parameters, inputs[: warmup + steps], warmup=warmup)
                for steps in averaged_steps(axes["seq_len"] - warmup)
            }
        except ForwardDiverged as error:
            return Unsupported(str(error))
        last = found[max(found)]
        theory, random = _expected(case, parameters)
        size = len(last.exponents)
        columns = {
            "steps": np.repeat(list(found), size).tolist(),
            "index": np.tile(np.arange(1, size + 1), len(found)).tolist(),
            "exponent": [float(value) for each in found.values() for value in each.exponents],
            "standard_error": [value for each in found.values() for value in _errors(each)],
            "exponent_theory": (theory or [None] * size) * len(found),
            "exponent_random_matrix": (random or [None] * size) * len(found),
        }
        facts = {
            "converged": last.converged,
            "kaplan_yorke_dimension": kaplan_yorke_dimension(last.exponents),
            "entropy_rate": entropy_rate(last.exponents),
            **mean_field_facts(case, parameters, inputs),
        }
        return Measured(columns, facts)


def averaged_steps(steps: int) -> list[int]:
    """N, N/2, N/4, … down to ten, ascending."""
    found = [steps]
    while found[-1] // 2 >= FEWEST_STEPS:
        found.append(found[-1] // 2)
    return found[::-1]


def _errors(found: Lyapunov) -> list[float | None]:
    return [float(error) if np.isfinite(error) else None for error in found.standard_error]


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
