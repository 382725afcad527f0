"""What `throughput` and `memory` share: the axes of one pass, its cost, and the proof that it is right."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import create_model

from harness.case import Case
from harness.measure.agreement import agreements, require_agreement
from harness.measure.estimate import why_not_started
from harness.measure.outlook import Outlook
from harness.measure.problem import Prepared, Problem
from harness.measure.structured import StackProblem
from harness.measure.work import Sizes
from harness.studies.study import CellName, Context, DtypeName, PassName, Size, Study, StudyAxes

_FIELDS: dict[str, Any] = {  # a mapping, because "pass" cannot be written as a class attribute
    "cell": (list[CellName], ...),
    "pass": (list[PassName], ["inference", "training"]),
    "dtype": (list[DtypeName], ["float32"]),
    "seq_len": (list[Size], ...),
    "batch_size": (list[Size], ...),
    "input_size": (Size | None, None),
    "hidden_size": (list[Size], ...),
}
PassAxes = create_model("PassAxes", __base__=StudyAxes, **_FIELDS)


class PassStudy(Study):
    """A study that runs one pass of one cell in each backend."""

    timing = True
    Axes: ClassVar[type[StudyAxes]] = PassAxes

    calls: ClassVar[int]
    """How many times a measurement runs the pass at the least."""

    def why_not(self, case: Case, context: Context) -> str | None:
        return why_not_started(
            context.backend,
            str(case.axes["cell"]),
            str(case.axes["dtype"]),
            Sizes.of(case),
            training=is_training(case),
            calls=self.calls,
            max_seconds=context.max_seconds,
        )

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """A probe of its size; where it is then started, the passes and the proof."""
        cell, sizes, training = str(case.axes["cell"]), Sizes.of(case), is_training(case)
        probe = outlook.probe_seconds(cell, sizes, training=training, calls=self.calls)
        if not outlook.started(cell, sizes, training=training, calls=self.calls):
            return probe
        one = outlook.pass_seconds(cell, sizes, training=training)
        proof = one + outlook.reference_seconds(cell, sizes, training=training)
        return probe + self.passes_seconds(one, outlook) + proof + outlook.calls(4000)

    def passes_seconds(self, one: float, outlook: Outlook) -> float:
        """The passes that are measured, where one takes `one` second."""
        return self.calls * one


def is_training(case: Case) -> bool:
    return case.axes["pass"] == "training"


def prepare(case: Case, context: Context) -> tuple[Problem, Prepared]:
    """The case's problem, and the same bound to the context's backend."""
    problem = Problem.draw(str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case))
    return problem, problem.on(context.backend)


def prove(problem: Problem | StackProblem, prepared: Prepared, *, training: bool) -> float:
    """Hold one pass against the float64 reference; the largest relative error.

    Raises:
        Disagreement: some result is not the reference's.
    """
    actual = prepared.results(training=training)
    return require_agreement(agreements(actual, problem.reference(training=training), problem.dtype))
