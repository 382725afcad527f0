"""The loop of a run: blocks of cases, backends in random order within a block, every end recorded at once.

A replicate is one live worker per backend.  The parent lets one of them work at a time, so that backends
of one comparison are measured close together and nobody else is at work on the machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.case import Case
from harness.folder import LEDGER, sole_writer, write_environment
from harness.ledger import Ledger
from harness.outcome import Outcome
from harness.plan import Plan
from harness.supervisor import Supervisor


class Observer(Protocol):
    """Who wants to know how the run goes on."""

    def begin(self, total: int, done: int) -> None: ...
    def start(self, case: Case) -> None: ...
    def finish(self, case: Case, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Summary:
    """How many cases have ended how (`measured`, `unsupported`, `failed`, `open`)."""

    counts: dict[str, int]

    @property
    def failed(self) -> int:
        return self.counts.get("failed", 0)


def execute(folder: Path, observer: Observer) -> Summary:
    """Run every case of the folder's plan that has not ended yet.

    Raises:
        UserError: the ledger cannot be read, or another process writes this run.
        KeyboardInterrupt: passed on, with everything recorded that had ended.
    """
    with sole_writer(folder), Ledger.open(folder / LEDGER) as ledger:
        facts = ledger.facts()
        plan = Plan.model_validate(facts["plan"])
        cases = [entry.case for entry in ledger.entries()]
        done = ledger.finished_keys()
        observer.begin(len(cases), len(done))
        remaining = [case for case in cases if case.key not in done]
        if remaining:
            with Workers(plan) as workers:
                try:
                    _run_all(remaining, plan, workers, ledger, observer)
                finally:
                    facts["environment"].setdefault("backends", {}).update(workers.descriptions())
                    ledger.set_fact("environment", facts["environment"])
                    write_environment(folder, facts["environment"])
        return Summary(ledger.counts())


def _run_all(cases: list[Case], plan: Plan, workers: Workers, ledger: Ledger, observer: Observer) -> None:
    for case in in_order(cases, plan.seed):
        workers.for_replicate(case.replicate)
        observer.start(case)
        started = time.monotonic()
        outcome = workers[case.backend].run(
            case,
            budget_seconds=plan.budget_seconds,
            max_seconds=plan.max_seconds,
            hang_seconds=plan.hang_seconds,
        )
        ledger.record(case, outcome, finished_at=time.time(), elapsed_seconds=time.monotonic() - started)
        observer.finish(case, outcome)


def in_order(cases: list[Case], seed: int) -> Iterator[Case]:
    """Block after block as planned, replicate after replicate; within a block in random order.

    The order of a block depends on its own name and the seed alone, so a resumed run keeps it.
    """
    blocks: dict[tuple[int, str], list[Case]] = {}
    for case in cases:
        blocks.setdefault((case.replicate, case.block), []).append(case)
    for (_, block), members in sorted(blocks.items(), key=lambda item: item[0][0]):
        members.sort(key=lambda case: case.key)
        random.Random(f"{seed} {block}").shuffle(members)
        yield from members


class Workers:
    """The live workers of one replicate, by backend."""

    def __init__(self, plan: Plan) -> None:
        self._make: Callable[[str], Supervisor] = lambda backend: Supervisor(
            backend, plan.threads, plan.corpus
        )
        self._live: dict[str, Supervisor] = {}
        self._stack = ExitStack()
        self._replicate: int | None = None
        self._descriptions: dict[str, dict[str, object]] = {}

    def for_replicate(self, replicate: int) -> None:
        """End the workers of another replicate: each has fresh processes."""
        if replicate != self._replicate:
            self._end()
            self._replicate = replicate

    def __getitem__(self, backend: str) -> Supervisor:
        if backend not in self._live:
            supervisor = self._make(backend)
            self._stack.callback(supervisor.close)
            self._live[backend] = supervisor
        return self._live[backend]

    def descriptions(self) -> dict[str, dict[str, object]]:
        """What each backend said of itself."""
        self._note()
        return self._descriptions

    def _note(self) -> None:
        found = {name: s.description for name, s in self._live.items()}
        self._descriptions |= {name: text for name, text in found.items() if text is not None}

    def _end(self) -> None:
        self._note()
        self._live.clear()
        self._stack.close()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
