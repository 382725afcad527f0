"""Time to solve: the same network learns the same task on each backend, and the clock says when it is done.

What is learned depends on the seed alone: every backend starts from the same weights, sees the same batches
and is stopped by the same criterion, so that their losses agree at the start and their steps differ only by
what rounding grows into.
"""

from __future__ import annotations

from typing import ClassVar

from harness.studies.learning import Learning, LearningAxes
from harness.studies.networks import Seed
from harness.studies.study import STUDIES, BackendName, StudyAxes


class TimeToSolveAxes(LearningAxes):
    backend: list[BackendName] = ["numba", "torch"]
    seed: list[Seed] = [0]


class TimeToSolve(Learning):
    """Columns and facts as of :class:`~harness.studies.learning.Learning`, timed with nothing beside it."""

    name = "time_to_solve"
    question = "How long does each backend take to learn a task?"
    timing = True
    Axes: ClassVar[type[StudyAxes]] = TimeToSolveAxes


STUDIES.register("time_to_solve")(TimeToSolve())
