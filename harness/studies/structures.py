"""Structures: what do depth, a second direction, residual and skip connections cost?  Time and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, create_model

from harness.case import Case, Scalar
from harness.measure.estimate import extrapolated_seconds, why_too_large, why_too_long
from harness.measure.memory import MemoryUnmeasurable, can_reset_peak, peak_of
from harness.measure.outlook import Outlook
from harness.measure.stability import Budget
from harness.measure.structured import StackProblem, count_parameters, equal_hidden_size, structure_work
from harness.measure.timing import MINIMUM_SAMPLES, time_steadily
from harness.measure.work import Sizes
from harness.outcome import Measured
from harness.studies.passes import PassAxes, PassStudy, is_training, prove
from harness.studies.study import STUDIES, Context, StudyAxes, once
from harness.studies.throughput import COLUMNS, SHARE_OF_REPEATS, disturbed
from implementations.contract import Backend
from implementations.stack import why_no_stack
from implementations.structure import Structure

REPEATS = 3
"""Of the peak of memory."""


def _spelled(words: str) -> str:
    """The structure in its one spelling."""
    return str(Structure.parse(words))


StructureName = Annotated[str, AfterValidator(_spelled)]
_FIELDS: dict[str, Any] = {"structure": (list[StructureName], ...)}
StructuresAxes = create_model("StructuresAxes", __base__=PassAxes, **_FIELDS)


class Structures(PassStudy):
    """Columns: those of `throughput`.  Facts besides its: parameters (how many numbers), equal_hidden_size (H
    of the one layer with as many), peak_bytes and peak_method (median of a few passes; null where a process
    may not reset its high-water mark: then the study `memory` is the one to ask).

    Each structure comes with one layer of about as many parameters, which reads the same inputs.
    """

    name = "structures"
    question = "What does each structure cost?"
    Axes: ClassVar[type[StudyAxes]] = StructuresAxes
    repeated = True
    calls = MINIMUM_SAMPLES + 2

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination, and after each the layer of as many parameters; each once."""
        points = ({**p, "input_size": p["input_size"] or p["hidden_size"]} for p in super().points(axes))
        return once(each for point in points for each in (point, _single(point)))

    def why_not(self, case: Case, context: Context) -> str | None:
        cell, dtype, sizes = str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case)
        structure, training, backend = _structure(case), is_training(case), context.backend
        reason = (
            backend.why_unsupported(cell, dtype, training=training, **vars(sizes))
            or structure.why_nothing_is_added(sizes.input_size, sizes.hidden_size)
            or why_no_stack(backend, structure)
            or why_too_large(structure_work(cell, dtype, structure, sizes, training=training))
        )
        if reason:
            return reason
        seconds = self.calls * extrapolated_seconds(
            backend,
            lambda probe: StackProblem.draw(cell, dtype, structure, probe).on(backend),
            lambda probe: structure_work(cell, dtype, structure, probe, training=training).flop,
            sizes,
            training=training,
            limit_seconds=context.max_seconds / self.calls,
        )
        return why_too_long(seconds, context.max_seconds)

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """As of so many layers."""
        structure = _structure(case)
        places = structure.num_layers * structure.directions
        return places * super().seconds(case, outlook) - (places - 1) * self.passes_seconds(0.0, outlook)

    def passes_seconds(self, one: float, outlook: Outlook) -> float:
        return max((self.calls + REPEATS) * one, SHARE_OF_REPEATS * outlook.budget_seconds)

    def measure(self, case: Case, context: Context) -> Measured:
        cell, dtype, sizes = str(case.axes["cell"]), str(case.axes["dtype"]), Sizes.of(case)
        structure, training = _structure(case), is_training(case)
        problem = StackProblem.draw(cell, dtype, structure, sizes)
        prepared = problem.on(context.backend)
        timing = time_steadily(
            lambda: prepared.run(training=training),
            context.backend.synchronize,
            context.budget_seconds,
            Budget(context.num_threads, context.backend.device),
        )
        # before the proof: what the reference frees would be lying about for a pass to use again, unseen
        memory = _memory(lambda: prepared.run(training=training), context.backend)
        return Measured(
            {name: [getattr(sample, name) for sample in timing.samples] for name in COLUMNS},
            {
                "flop": structure_work(cell, dtype, structure, sizes, training=training).flop,
                "parameters": count_parameters(cell, structure, sizes.input_size, sizes.hidden_size),
                "equal_hidden_size": equal_hidden_size(cell, structure, sizes.input_size, sizes.hidden_size),
                "steps": sizes.seq_len * sizes.batch_size,
                **memory,
                "device": context.backend.device,
                "num_threads": context.backend.num_threads,
                "relative_error": prove(problem, prepared, training=training),
                "probe_seconds": timing.probe_seconds,
                "attempts": len(timing.unstable),
                "unstable": "; ".join(timing.unstable[-1]) or None,
                "disturbed": disturbed(timing),
            },
        )


def _structure(case: Case) -> Structure:
    return Structure.parse(str(case.axes["structure"]))


def _single(point: dict[str, Scalar]) -> dict[str, Scalar]:
    """One layer of as many parameters."""
    structure = Structure.parse(str(point["structure"]))
    sizes = int(point["input_size"] or 0), int(point["hidden_size"] or 0)
    wide = equal_hidden_size(str(point["cell"]), structure, *sizes)
    return {**point, "structure": str(Structure()), "hidden_size": wide}


def _memory(call: Callable[[], object], backend: Backend) -> dict[str, Any]:
    if backend.device_memory() is None and not can_reset_peak():
        return {"peak_bytes": None, "peak_method": None}
    try:
        peaks = [peak_of(call, backend) for _ in range(REPEATS)]
    except MemoryUnmeasurable:
        return {"peak_bytes": None, "peak_method": None}
    return {
        "peak_bytes": float(np.median([peak.peak_bytes for peak in peaks])),
        "peak_method": peaks[0].method,
    }


STUDIES.register("structures")(Structures())
