"""Throughput: how long does one pass take in each backend?  Every raw sample, in order."""

from __future__ import annotations

from harness.case import Case
from harness.measure.roofline import demands
from harness.measure.timing import MINIMUM_SAMPLES, time_calls
from harness.measure.work import Sizes, flop
from harness.outcome import Measured
from harness.studies.passes import PassStudy, is_training, prepare, prove
from harness.studies.study import STUDIES, Context


class Throughput(PassStudy):
    name = "throughput"
    question = "Which backend is fastest, where, and by how much?"
    calls = MINIMUM_SAMPLES + 2

    def measure(self, case: Case, context: Context) -> Measured:
        training, sizes = is_training(case), Sizes.of(case)
        problem, prepared = prepare(case, context)
        samples = time_calls(
            lambda: prepared.run(training=training), context.backend.synchronize, context.budget_seconds
        )
        return Measured(
            {
                "phase": [s.phase for s in samples],
                "index": [s.index for s in samples],
                "loops": [s.loops for s in samples],
                "seconds": [s.seconds for s in samples],
            },
            {
                "flop": flop(problem.cell, sizes, training=training),
                **vars(demands(problem.cell, problem.dtype, sizes, training=training)),
                "device": context.backend.device,
                "steps": sizes.seq_len * sizes.batch_size,
                "num_threads": context.backend.num_threads,
                "relative_error": prove(problem, prepared, training=training),
            },
        )


STUDIES.register("throughput")(Throughput())
