"""The cases of one comparison, measured in turn: a few milliseconds of each, round after round.

A machine's own speed changes from second to second (neighbours of a virtual machine, heat, clocks).  Whoever
measures one backend after the other then measures the machine; measured in turn, in an order that is drawn
anew for each round, all of them meet the same moments, and ratios within a round cancel them.  A case whose
study knows no pauses ends at its beginning, before the next one begins.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.case import Case
from harness.measure.cores import draw_core
from harness.measure.timing import Go, Pause
from harness.outcome import Outcome
from harness.plan import Plan
from harness.supervisor import Supervisor


@dataclass(frozen=True)
class Limits:
    """What one case may take, in seconds: see `Context` and `Supervisor.begin`."""

    budget_seconds: float
    max_seconds: float
    hang_seconds: float

    @classmethod
    def of(cls, plan: Plan, study: str) -> Limits:
        """What a plan allows to a study."""
        return cls(plan.budget_seconds, plan.limit_of(study), plan.hang_of(study))


@dataclass
class _Turn:
    """A case that stands still, and the time that was spent at it so far."""

    case: Case
    worker: Supervisor
    at: Pause
    spent: float


def alternate(
    cases: Sequence[Case],
    worker_of: Callable[[Case], Supervisor],
    limits: Limits,
    num_threads: int,
    starting: Callable[[Case], None] = lambda case: None,
    work_of: Callable[[Case], Case] = lambda case: case,
) -> Iterator[tuple[Case, Outcome, float]]:
    """Each case, its outcome and the seconds spent at it, as they end.

    Args:
        cases: of one comparison, each with a worker of its own, in the order in which they begin.
        num_threads: what each of them may use; with one, all of them keep to the same core.
        starting: told of a case when it begins.
        work_of: what a case measures, where that is not the case itself.
    """
    together = uuid.uuid4().hex[:12] if len(cases) > 1 else None
    paused: list[_Turn] = []
    for case in cases:
        starting(case)
        worker, started = worker_of(case), time.monotonic()
        at = worker.begin(work_of(case), **vars(limits), together=together)
        spent = time.monotonic() - started
        if isinstance(at, Pause):
            paused.append(_Turn(case, worker, at, spent))
        else:
            yield case, at, spent
    order, core = random.Random(together), draw_core(num_threads)
    while paused:
        order.shuffle(paused)
        between = [turn for turn in paused if turn.at.wants_again is None]
        told = Go(any(turn.at.wants_again for turn in paused), core)
        if not between:  # an attempt ends for all together, and the next may have a better core
            core = draw_core(num_threads)
        for turn in between or list(paused):
            started = time.monotonic()
            at = turn.worker.go_on(told)
            turn.spent += time.monotonic() - started
            if isinstance(at, Pause):
                turn.at = at
            else:
                paused.remove(turn)
                yield turn.case, at, turn.spent
