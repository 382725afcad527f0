"""Parity: does every backend compute the same cell?  Output, final state and every gradient, over T."""

from __future__ import annotations

from typing import ClassVar

from harness.case import Case
from harness.initializations import why_unsupported
from harness.measure.agreement import agreements
from harness.measure.estimate import why_not_started
from harness.measure.outlook import Outlook
from harness.measure.problem import Problem
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.studies.study import (
    STUDIES,
    CellName,
    Context,
    DtypeName,
    InitializationName,
    Seed,
    Size,
    Study,
    StudyAxes,
)


class ParityAxes(StudyAxes):
    cell: list[CellName]
    dtype: list[DtypeName] = ["float32", "float64"]
    seq_len: list[Size]
    batch_size: Size = 4
    input_size: Size | None = None
    hidden_size: list[Size] = [16]
    initialization: list[InitializationName] = ["pytorch_uniform"]
    seed: list[Seed] = [0]


class Parity(Study):
    name = "parity"
    question = "Do the backends compute the same cells?"
    Axes: ClassVar[type[StudyAxes]] = ParityAxes

    def why_not(self, case: Case, context: Context) -> str | None:
        if reason := why_unsupported(str(case.axes["initialization"]), str(case.axes["cell"])):
            return reason
        return why_not_started(
            context.backend,
            str(case.axes["cell"]),
            str(case.axes["dtype"]),
            Sizes.of(case),
            training=True,
            calls=1,
            max_seconds=context.max_seconds,
        )

    def seconds(self, case: Case, outlook: Outlook) -> float:
        cell, sizes = str(case.axes["cell"]), Sizes.of(case)
        both = outlook.pass_seconds(cell, sizes, training=True)
        both += outlook.reference_seconds(cell, sizes, training=True)
        return outlook.probe_seconds(cell, sizes, training=True, calls=1) + both + outlook.calls(2000)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes = case.axes
        problem = Problem.draw(
            str(axes["cell"]),
            str(axes["dtype"]),
            Sizes.of(case),
            seed=int(axes["seed"] or 0),
            initialization=str(axes["initialization"]),
        )
        found = agreements(
            problem.on(context.backend).results(training=True),
            problem.reference(training=True),
            problem.dtype,
        )
        return Measured(
            {
                "quantity": [a.quantity for a in found],
                "relative_error": [a.relative_error for a in found],
                "tolerance": [a.tolerance for a in found],
            },
            {"agrees": all(a.holds for a in found)},
        )


STUDIES.register("parity")(Parity())
