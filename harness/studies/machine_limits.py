"""Limits: how fast are this machine's own products and copies, at the shapes that the cases have?

A study of its own, not a probe inside each timed case: every backend of a comparison is then held against
the very same limit, which is measured when no backend is at work, in the run's own thread budget; and a
shape that many cases share is measured once.  The report joins it to the throughput by shape.

Only what has a good library of its own measures here; what it measures is the limit of every backend on
the same device.  Where several do, the fastest is the limit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar

from harness.case import Case, Scalar
from harness.measure.estimate import why_too_large
from harness.measure.kernels import (
    MAXIMUM_STEPS,
    NoKernel,
    Timed,
    recurrent_steps,
    time_copies,
    time_own_products,
    time_products,
)
from harness.measure.outlook import Outlook
from harness.measure.roofline import LARGE, Shape, input_shape, recurrent_shape
from harness.measure.work import Sizes, Work
from harness.outcome import Measured, Unsupported
from harness.studies.study import STUDIES, BackendName, Context, DtypeName, Study, StudyAxes

TIMED = "throughput"
"""The study whose cases are held against the limits."""
OWN = "own_recurrent_product"
"""The kernel of a backend's own product."""
OWN_STEPS = 256
"""As many steps as a time loop has: what a call and a thread's waking cost belongs to the whole of it."""
SHARE_OF_BUDGET = 0.2
"""Of a case's time: the fastest sample counts, which needs fewer of them than a median."""


class LimitsAxes(StudyAxes):
    """Whose libraries multiply and copy, and the formats of the large product; the shapes follow from the
    timed cases of the plan.  `own`: which of the timed backends have a recurrent product of their own, to be
    held against the large one."""

    backend: list[BackendName] = ["numpy", "torch", "cudnn"]
    own: list[BackendName] = ["numba"]
    dtype: list[DtypeName] = ["float32"]


class MachineLimits(Study):
    name = "limits"
    question = "How close does each backend come to what this machine can do?"
    timing = True
    compares_backends = False
    Axes: ClassVar[type[StudyAxes]] = LimitsAxes

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """What does not depend on any case."""
        assert isinstance(axes, LimitsAxes)
        for backend in axes.backend:
            yield _point(backend, "copy", None)
            for dtype in axes.dtype:
                yield _point(backend, "large_product", dtype, Shape(LARGE, LARGE, LARGE))

    def points_beside(self, axes: StudyAxes, planned: Sequence[Case]) -> Iterator[dict[str, Scalar]]:
        """The shapes of the timed cases, each once: a case's axes are a kernel and a shape, not a layer's
        sizes."""
        assert isinstance(axes, LimitsAxes)
        timed = [case for case in planned if case.study == TIMED]
        kernels = dict.fromkeys(itertools.chain.from_iterable(map(_kernels, timed)))
        for backend, (kernel, dtype, shape) in itertools.product(axes.backend, kernels):
            yield _point(backend, kernel, dtype, shape)
        of_their_own = (case for case in timed if case.axes["backend"] in axes.own)
        for point in dict.fromkeys(map(_own, of_their_own)):
            yield _point(*point)

    def why_not(self, case: Case, context: Context) -> str | None:
        if case.axes["kernel"] == "copy":
            return None
        dtype, shape = str(case.axes["dtype"]), _shape(case)
        reason = context.backend.why_unsupported("rnn_tanh", dtype)
        if reason is not None:
            return reason
        elements = (shape.inner + MAXIMUM_STEPS * shape.rows) * (shape.inner + shape.columns)
        return why_too_large(Work(shape.flop, 8.0 * elements))

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """Two ways to do it, each for its share of the budget and the first call."""
        once = 0.0 if case.axes["kernel"] == "copy" else _shape(case).flop * outlook.rates.flop
        return 2.0 * (SHARE_OF_BUDGET * outlook.budget_seconds + once) + outlook.calls(4000)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        try:
            timed, work = _time(case, context)
        except NoKernel as reason:
            return Unsupported(str(reason))
        work |= {"device": context.backend.device, "num_threads": context.num_threads}
        return Measured(_columns(timed), work)


def _time(case: Case, context: Context) -> tuple[list[Timed], dict[str, Scalar]]:
    """The samples, and the work of one call."""
    backend, threads = context.backend, context.num_threads
    budget = SHARE_OF_BUDGET * context.budget_seconds
    if case.axes["kernel"] == "copy":
        timed, moved, cache = time_copies(backend, num_threads=threads, budget_seconds=budget)
        return timed, {"bytes": moved, "cache_bytes": cache}
    shape = _shape(case)
    if case.axes["kernel"] == OWN:
        steps = recurrent_steps(shape, OWN_STEPS)
        own = time_own_products(backend, str(case.axes["dtype"]), shape, steps=steps, budget_seconds=budget)
        return own, {"flop": steps * shape.flop}
    steps = recurrent_steps(shape) if case.axes["kernel"] == "recurrent_product" else 1
    timed = time_products(
        backend,
        str(case.axes["dtype"]),
        shape,
        steps=steps,
        num_threads=threads,
        budget_seconds=budget,
    )
    return timed, {"flop": steps * shape.flop}


def _kernels(case: Case) -> Iterator[tuple[str, str, Shape]]:
    """The kernels, formats and shapes that bound one timed case."""
    cell, dtype, sizes = str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case)
    yield "large_product", dtype, Shape(LARGE, LARGE, LARGE)
    yield "recurrent_product", dtype, recurrent_shape(cell, sizes)
    yield "input_product", dtype, input_shape(cell, sizes).capped()


def _own(case: Case) -> tuple[str, str, str, Shape]:
    """The recurrent product of one timed case, by its backend's own kernel."""
    shape = recurrent_shape(str(case.axes["cell"]), Sizes.of(case))
    return str(case.axes["backend"]), OWN, str(case.axes["dtype"]), shape


def _point(backend: str, kernel: str, dtype: str | None, shape: Shape | None = None) -> dict[str, Scalar]:
    sizes = vars(shape) if shape else dict.fromkeys(("rows", "inner", "columns"))
    return {"backend": backend, "kernel": kernel, "dtype": dtype, **sizes}


def _shape(case: Case) -> Shape:
    return Shape(*(int(case.axes[name] or 0) for name in ("rows", "inner", "columns")))


def _columns(timed: list[Timed]) -> dict[str, list[Scalar]]:
    rows = [(way.method, s.phase, s.index, s.loops, s.seconds) for way in timed for s in way.samples]
    names = ("method", "phase", "index", "loops", "seconds")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


STUDIES.register("limits")(MachineLimits())
