"""Startup: how long does a fresh process take to its first result, with and without compiled code on disk?"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from pydantic import create_model

from harness.case import Case
from harness.measure.agreement import agreements, require_agreement
from harness.measure.estimate import why_too_large
from harness.measure.outlook import Outlook
from harness.measure.problem import Problem
from harness.measure.starts import Start, start_fresh, write_problem
from harness.measure.work import Sizes, work
from harness.outcome import Measured
from harness.studies.passes import PassAxes, is_training
from harness.studies.study import STUDIES, Context, Size, Study, StudyAxes

StartupAxes = create_model("StartupAxes", __base__=PassAxes, starts=(Size, 3))


class Startup(Study):
    """Each observation has a process of its own, so that no replicate repeats it.

    One row per process: start, cache and the fields of :class:`harness.measure.starts.Start`.

    A backend that keeps compiled code from one process to the next (`Backend.code_folders`) gets a folder of
    its own: the first process finds it empty (cache "cold"), `starts` further ones find what that one left
    ("warm").  For any other backend, `starts` processes have the cache "none".  "Cold" is said of compiled
    code alone: the libraries' files are in the system's cache, since the worker has loaded them.

    Facts: relative_error (the largest of all first results, against the float64 reference), num_threads,
    code_folder (the variable that names the folder, or null).
    """

    name = "startup"
    question = "How long does a fresh process take to its first result?"
    timing = True
    Axes: ClassVar[type[StudyAxes]] = StartupAxes

    def why_not(self, case: Case, context: Context) -> str | None:
        cell, dtype, sizes = str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case)
        training = is_training(case)
        reason = context.backend.why_unsupported(cell, dtype, training=training, **vars(sizes))
        return reason or why_too_large(work(cell, dtype, sizes, training=training))

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """Processes that load, the first of which may compile a forward and a backward."""
        starts, hint = int(case.axes["starts"] or 1), outlook.hint
        way = (hint.loading + 1.0) * outlook.rates.interpreter
        compiling = (2.0 if is_training(case) else 1.0) * hint.compiling * outlook.rates.interpreter
        if hint.missing is None:
            return starts * (way + compiling)
        return (starts + 1) * (way + 2.0 * outlook.rates.interpreter) + compiling

    def measure(self, case: Case, context: Context) -> Measured:
        backend, training = context.backend, is_training(case)
        problem = Problem.draw(str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case))
        reference = problem.reference(training=training)
        deadline = time.monotonic() + limit_seconds(context.max_seconds)
        starts: list[tuple[str, Start]] = []
        error = 0.0
        with tempfile.TemporaryDirectory(prefix="rnn-harness-code-") as folder:
            path = Path(folder) / "problem.npz"
            write_problem(problem, path)
            code = {name: str(Path(folder) / "code") for name in backend.code_folders}
            for cache in caches(keeps_code=bool(code), starts=int(case.axes["starts"] or 1)):
                start, results = start_fresh(
                    backend.name,
                    path,
                    dtype=problem.dtype,
                    training=training,
                    num_threads=context.num_threads,
                    environment=code,
                    limit_seconds=deadline - time.monotonic(),
                )
                error = max(error, require_agreement(agreements(results, reference, problem.dtype)))
                starts.append((cache, start))
        return Measured(
            _columns(starts),
            {
                "relative_error": error,
                "num_threads": context.num_threads,
                "code_folder": ", ".join(backend.code_folders) or None,
            },
        )


def caches(*, keeps_code: bool, starts: int) -> list[str]:
    """What each process finds of compiled code: nothing yet, what the one before left, or nothing ever."""
    return ["cold", *["warm"] * starts] if keeps_code else ["none"] * starts


def limit_seconds(max_seconds: float) -> float:
    """For all processes of a case: less than after what the worker itself counts as hung."""
    return 45.0 + 2.0 * max_seconds


def _columns(starts: list[tuple[str, Start]]) -> dict[str, list[Any]]:
    rows = [
        {"start": number, "cache": cache, **asdict(start)} for number, (cache, start) in enumerate(starts)
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


STUDIES.register("startup")(Startup())
