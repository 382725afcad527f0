"""Memory: what does one pass hold at its peak, above what was in use before it?"""

from __future__ import annotations

from harness.case import Case
from harness.measure.memory import MemoryUnmeasurable, peak_of
from harness.outcome import Measured, Unsupported
from harness.studies.passes import PassStudy, is_training, prepare, prove
from harness.studies.study import STUDIES, Context

REPEATS = 3


class Memory(PassStudy):
    name = "memory"
    question = "What does memory cost as the sequence grows?"
    calls = REPEATS + 1

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        training = is_training(case)
        problem, prepared = prepare(case, context)
        error = prove(problem, prepared, training=training)
        try:
            peaks = [
                peak_of(lambda: prepared.run(training=training), context.backend) for _ in range(REPEATS)
            ]
        except MemoryUnmeasurable as reason:
            return Unsupported(str(reason))
        return Measured(
            {
                "repeat": list(range(REPEATS)),
                "peak_bytes": [peak.peak_bytes for peak in peaks],
                "reserved_bytes": [peak.reserved_bytes for peak in peaks],
            },
            {
                "method": peaks[0].method,
                "num_threads": context.backend.num_threads,
                "relative_error": error,
            },
        )


STUDIES.register("memory")(Memory())
