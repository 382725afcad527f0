"""Cases on this machine: one live worker per backend and replicate, one of them at work at a time.

So the backends of one comparison are measured in turn, and nobody else is at work on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from harness.alternation import Limits, alternate
from harness.case import Case
from harness.executor import Ended, Starting, blocks
from harness.measure.machine import Machine
from harness.plan import Plan
from harness.studies.study import STUDIES
from harness.supervisor import Supervisor
from harness.turns import Turn


class Local:
    """The executor of one machine."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._turn: Turn | None = None
        self._workers = Workers(
            lambda backend: Supervisor(backend, plan.threads, plan.corpus),
        )

    def take_turns(self, turn: Turn) -> None:
        """Take this turn before the first timed case, and end it after the last."""
        self._turn = turn

    @cached_property
    def _machine(self) -> Machine:
        return Machine.here()

    def run(self, cases: Sequence[Case], starting: Starting) -> Iterator[Ended]:
        """One comparison after the other; its cases take turns where their study can pause."""
        plan = self._plan
        timed = sum(map(is_timed, cases))

        def start(case: Case) -> None:
            if self._turn is not None and is_timed(case):
                self._turn.take()
            starting(case)

        for block in blocks(cases, plan.seed):
            self._workers.for_replicate(block[0].replicate)
            limits = Limits.of(plan, block[0].study)
            for case, outcome, seconds in alternate(block, self._workers.of, limits, plan.threads, start):
                timed -= is_timed(case)
                if self._turn is not None and not timed:
                    self._turn.end()
                yield Ended(case, outcome, seconds, self._machine, self._workers.description(case.backend))

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exception: object) -> None:
        self._workers.end()
        if self._turn is not None:
            self._turn.end()


def is_timed(case: Case) -> bool:
    """Nothing else may run beside it.  (A study no longer installed fails in its worker, as a row.)"""
    return case.study in STUDIES and STUDIES[case.study].timing


class Workers:
    """The live workers of one replicate, by backend.

    Args:
        make: backend -> its supervisor.
    """

    def __init__(self, make: Callable[[str], Supervisor]) -> None:
        self._make = make
        self._live: dict[str, Supervisor] = {}
        self._stack = ExitStack()
        self._replicate: int | None = None

    def for_replicate(self, replicate: int) -> None:
        """End the workers of another replicate: each has fresh processes."""
        if replicate != self._replicate:
            self.end()
            self._replicate = replicate

    def __getitem__(self, backend: str) -> Supervisor:
        if backend not in self._live:
            supervisor = self._make(backend)
            self._stack.callback(supervisor.close)
            self._live[backend] = supervisor
        return self._live[backend]

    def of(self, case: Case) -> Supervisor:
        """The worker of a case of this replicate."""
        return self[case.backend]

    def description(self, backend: str) -> dict[str, Any]:
        """What the backend said of itself, by its name; empty where it never spoke."""
        said = self._live[backend].description if backend in self._live else None
        return {} if said is None else {backend: said}

    def end(self) -> None:
        """End all workers."""
        self._live.clear()
        self._stack.close()
