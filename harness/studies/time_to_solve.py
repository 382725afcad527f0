"""Time to solve: the same network learns the same task on each backend, and the clock says when it is done.

What is learned depends on the seed alone: every backend starts from the same weights, sees the same batches
and is stopped by the same criterion, so that their losses agree at the start and their steps differ only by
what rounding grows into.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from harness.case import Case
from harness.measure.outlook import Outlook
from harness.measure.problem import Problem
from harness.outcome import Measured, Unsupported
from harness.studies.learning import Learning, LearningAxes, sizes_of
from harness.studies.passes import prove
from harness.studies.study import STUDIES, BackendName, Context, Seed, StudyAxes


class TimeToSolveAxes(LearningAxes):
    backend: list[BackendName] = ["numba", "torch"]
    seed: list[Seed] = [0]


class TimeToSolve(Learning):
    """Columns and facts as of :class:`~harness.studies.learning.Learning`, timed with nothing beside it: the
    spectral radius, which takes a large part of a step, is looked at with each score alone.

    Further facts: relative_error of a pass of these sizes to the float64 reference, held before the training
    begins; num_threads, device.
    """

    name = "time_to_solve"
    question = "How long does each backend take to learn a task?"
    timing = True
    Axes: ClassVar[type[StudyAxes]] = TimeToSolveAxes

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """The training, and the proof."""
        proof = outlook.reference_seconds(str(case.axes["cell"]), sizes_of(case), training=True)
        return super().seconds(case, outlook) + proof

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        """
        Raises:
            Disagreement: a pass of this backend is not the reference's.
        """
        problem = Problem.draw(str(case.axes["cell"]), "float32", sizes_of(case))
        error = prove(problem, problem.on(context.backend), training=True)
        found = super().measure(case, context)
        if isinstance(found, Unsupported):
            return found
        further: dict[str, Any] = {
            "relative_error": error,
            "num_threads": context.backend.num_threads,
            "device": context.backend.device,
        }
        return replace(found, facts={**found.facts, **further})


STUDIES.register("time_to_solve")(TimeToSolve())
