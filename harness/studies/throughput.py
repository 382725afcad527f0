"""Throughput: how long does one pass take in each backend?  Every raw sample, in order.

The backends of one comparison sample in turn, some milliseconds each, so that a machine that changes its
speed changes it for all of them.
"""

from __future__ import annotations

import functools

import psutil

from harness.case import Case
from harness.measure.outlook import Outlook
from harness.measure.roofline import demands
from harness.measure.stability import OF_SAMPLES, Budget, Watch
from harness.measure.timing import MINIMUM_SAMPLES, Timing, time_steadily
from harness.measure.work import Sizes, flop, work
from harness.outcome import Measured
from harness.studies.passes import PassStudy, is_training, prepare, prove
from harness.studies.study import STUDIES, Company, Context

COLUMNS = ("phase", "attempt", "round", "index", "loops", "seconds", "cpu_seconds", "preempted")

SHARE_OF_MEMORY = 0.05
"""A case that needs more of the free memory is measured in one go: whoever waits keeps what it holds."""
SHARE_OF_REPEATS = 1.3
"""Of the budget: what a case takes on a machine where some samples are disturbed and taken again."""


class Throughput(PassStudy):
    name = "throughput"
    question = "Which backend is fastest, where, and by how much?"
    calls = MINIMUM_SAMPLES + 2
    repeated = True

    def passes_seconds(self, one: float, outlook: Outlook) -> float:
        return max(self.calls * one, SHARE_OF_REPEATS * outlook.budget_seconds)

    def measure(self, case: Case, context: Context) -> Measured:
        training, sizes = is_training(case), Sizes.of(case)
        problem, prepared = prepare(case, context)
        needed = work(problem.cell, problem.dtype, sizes, training=training).peak_bytes
        small = needed <= SHARE_OF_MEMORY * psutil.virtual_memory().available
        company = context.company if small else Company()
        timing = time_steadily(
            lambda: prepared.run(training=training),
            context.backend.synchronize,
            context.budget_seconds,
            Budget(context.num_threads, context.backend.device),
            functools.partial(Watch, root=company.root),
            company.pause,
            OF_SAMPLES if company.together else (),
        )
        return Measured(
            {name: [getattr(sample, name) for sample in timing.samples] for name in COLUMNS},
            {
                "flop": flop(problem.cell, sizes, training=training),
                **vars(demands(problem.cell, problem.dtype, sizes, training=training)),
                "device": context.backend.device,
                "steps": sizes.seq_len * sizes.batch_size,
                "num_threads": context.backend.num_threads,
                "relative_error": prove(problem, prepared, training=training),
                "together": company.together,
                "probe_seconds": timing.probe_seconds,
                "waited_share": timing.waited_share,
                "attempts": len(timing.unstable),
                "unstable": "; ".join(timing.unstable[-1]) or None,
                "disturbed": disturbed(timing),
            },
        )


def disturbed(timing: Timing) -> str | None:
    """What disturbed each attempt that was not the last, in words."""
    earlier = [
        f"attempt {i + 1}: {'; '.join(why) or 'nothing, made again with the others'}"
        for i, why in enumerate(timing.unstable[:-1])
    ]
    return "; ".join(earlier) or None


STUDIES.register("throughput")(Throughput())
