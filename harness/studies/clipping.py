"""Clipping: what each rule, at each place, does to dL/dh_k on its way back and to the parameter gradient.

The loss is L = mean over the batch of ½‖R h_t − y_t‖², at the last step alone or summed over all steps, with
a fixed random readout R (entries N(0, 1/H)) and targets y_t ~ N(0, 1), as wide as h.  At the last step alone,
dL/dh_k shows the Jacobian products bare; over all steps, nearby losses cover what has vanished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from harness.case import Case, Scalar
from harness.clipping import CLIPPING_RULES, PLACES, Clipping
from harness.clipping.norms import Norm
from harness.gradients import Adjoint, ForwardDiverged, adjoint_decay
from harness.gradients.adjoint import why_not_at_gates
from harness.gradients.trajectory import run_forward
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.rules_and_places import each_once, require_steps, why_not_had
from harness.studies.study import STUDIES, Context, Positive, Size, StudyAxes, known, one_of
from implementations.contract import Parameters

LOSSES = ("last", "all")
_READOUT = 4
"""Name of the random stream of the readout and the targets."""


class ClippingAxes(NetworkAxes):
    rule: list[Annotated[str, known(CLIPPING_RULES)]] = ["global_norm", "value", "per_sample_norm"]
    place: list[Annotated[str, one_of("place", PLACES)]] = ["parameters", "state"]
    threshold: list[Positive] = [0.01, 0.1, 1.0]
    loss: list[Annotated[str, one_of("loss", LOSSES)]] = ["last"]
    steps: Size | None = None
    """How many steps back "truncated" goes."""

    @model_validator(mode="after")
    def _steps_where_a_rule_needs_them(self) -> ClippingAxes:
        require_steps(self.rule, self.steps, "steps")
        return self


class ClippingStudy(NetworkStudy):
    """Columns: lag (T − k), sample, log10_norm_unclipped and log10_norm_clipped: ‖dL/dh_k‖₂.

    Facts: parameter_norm_unclipped, parameter_norm_clipped (2-norm of all parameters' gradients together),
    cosine of the angle between the two (null where one is zero or not finite), clipped_steps_fraction (of the
    T + 1 steps, those at which some sample's δ was changed; at the gates, of the T steps that have gates;
    null at the parameters, where no step is clipped), clipped_samples_fraction (alike, of all steps and
    samples), non_finite (entries that the rule met as NaN or inf).
    """

    name = "clipping"
    question = "What does clipping do to the gradient?"
    Axes: ClassVar[type[StudyAxes]] = ClippingAxes
    calls_per_step = 900.0
    products_per_step = 0.5

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; what a rule does not look at comes once, and so does what cannot be had."""
        return each_once(super().points(axes), "steps")

    def why_not(self, case: Case, context: Context) -> str | None:
        """The reason where the initialization, or the rule at its place, cannot be had."""
        if reason := super().why_not(case, context) or why_not_had(case.axes):
            return reason
        return why_not_at_gates(str(case.axes["cell"]), _rule(case))

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        parameters, inputs = draw_network(case, context)
        rule = _rule(case)
        try:
            grad_output = loss_gradient(axes["cell"], parameters, inputs, axes["loss"], axes["seed"])
            plain, clipped = (
                adjoint_decay(axes["cell"], parameters, inputs, grad_output=grad_output, clipping=clipping)
                for clipping in (None, rule)
            )
        except ForwardDiverged as error:
            return Unsupported(str(error))
        changed = {"parameters": None, "state": clipped.clipped, "gates": clipped.clipped[1:]}
        return _measured(plain, clipped, changed[str(rule.place)])


def _rule(case: Case) -> Clipping:
    axes: dict[str, Any] = dict(case.axes)
    return Clipping(axes["rule"], axes["threshold"], axes["place"], axes["steps"])


def loss_gradient(
    cell: str, parameters: Parameters, inputs: NDArray[Any], loss: str, seed: int
) -> NDArray[np.float64]:
    """dL/d output (T, B, H) of this file's loss."""
    output = run_forward(cell, parameters, inputs).states[0][1:]
    hidden_size = parameters.hidden_size
    rng = np.random.default_rng([seed, _READOUT])
    readout = rng.standard_normal((hidden_size, hidden_size)) / np.sqrt(hidden_size)
    targets = rng.standard_normal(output.shape)
    gradient = (output @ readout.T - targets) @ readout / output.shape[1]
    if loss == "last":
        gradient[:-1] = 0.0
    return gradient


def _measured(plain: Adjoint, clipped: Adjoint, changed: NDArray[np.bool_] | None) -> Measured:
    steps, samples = plain.log10_total.shape
    # k runs from 0 to T; lags read from 0 upwards.
    columns = {
        "lag": np.repeat(np.arange(steps), samples).tolist(),
        "sample": np.tile(np.arange(samples), steps).tolist(),
        "log10_norm_unclipped": plain.log10_total[::-1].ravel().tolist(),
        "log10_norm_clipped": clipped.log10_total[::-1].ravel().tolist(),
    }
    before, after = (Norm(adjoint.parameters.values()) for adjoint in (plain, clipped))
    facts = {
        "parameter_norm_unclipped": float(before.value.item()),
        "parameter_norm_clipped": float(after.value.item()),
        "cosine": _cosine(plain.parameters, clipped.parameters, before, after),
        "clipped_steps_fraction": None if changed is None else float(changed.any(axis=1).mean()),
        "clipped_samples_fraction": None if changed is None else float(changed.mean()),
        "non_finite": clipped.non_finite,
    }
    return Measured(columns, facts)


def _cosine(
    first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]], norm_1: Norm, norm_2: Norm
) -> float | None:
    largest_1, largest_2 = norm_1.largest.item(), norm_2.largest.item()
    if not (norm_1.finite.all() and norm_2.finite.all() and largest_1 > 0.0 and largest_2 > 0.0):
        return None
    products = (np.sum((first[n] / largest_1) * (second[n] / largest_2)) for n in first)
    return float(sum(products) / (norm_1.relative.item() * norm_2.relative.item()))


STUDIES.register("clipping")(ClippingStudy())
