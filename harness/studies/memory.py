"""Memory: what does one pass hold at its peak, above what was in use before it?

The peaks are taken before the results are held against the reference: what the reference used and freed
would be lying about for the pass to use again, unseen.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.case import Case
from harness.measure.memory import BALLAST, MemoryUnmeasurable, Peak, can_reset_peak, peak_of
from harness.measure.outlook import Outlook
from harness.outcome import Measured, Unsupported
from harness.studies.passes import PassStudy, is_training, prepare, prove
from harness.studies.study import STUDIES, Context

REPEATS = 3
SHARE_OF_COLLECTING = 0.08
"""Of the time to load a backend: what it takes to look through all of it for garbage."""


class Memory(PassStudy):
    name = "memory"
    question = "What does memory cost as the sequence grows?"
    calls = REPEATS + 1

    def passes_seconds(self, one: float, outlook: Outlook) -> float:
        """Before each peak garbage is collected: the more is loaded, the longer that takes."""
        return self.calls * one + REPEATS * SHARE_OF_COLLECTING * outlook.loading_seconds()

    def needs_fresh_process(self) -> bool:
        return not can_reset_peak()

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        training = is_training(case)
        problem, prepared = prepare(case, context)
        prepared.run(training=training)
        try:
            peaks = self._peaks(lambda: prepared.run(training=training), context)
        except MemoryUnmeasurable as reason:
            return Unsupported(str(reason))
        return Measured(
            {
                "repeat": list(range(len(peaks))),
                "peak_bytes": [peak.peak_bytes for peak in peaks],
                "reserved_bytes": [peak.reserved_bytes for peak in peaks],
                "process_bytes": [peak.process_bytes for peak in peaks],
            },
            {
                "method": peaks[0].method,
                "num_threads": context.backend.num_threads,
                "relative_error": prove(problem, prepared, training=training),
            },
        )

    @staticmethod
    def _peaks(call: Callable[[], object], context: Context) -> list[Peak]:
        """REPEATS of them; one alone where each would need more ballast than the one before."""
        peaks = [peak_of(call, context.backend)]
        while len(peaks) < REPEATS and peaks[0].method != BALLAST:
            peaks.append(peak_of(call, context.backend))
        return peaks


STUDIES.register("memory")(Memory())
