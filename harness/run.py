"""The loop of a run: whatever has ended, wherever it ran, is recorded at once.

One process writes: this one.  Where and in which order cases run is the executor's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from harness.case import Case
from harness.errors import UserError
from harness.executor import Ended, Executor
from harness.folder import LEDGER, recorded_plan, sole_writer, write_environment
from harness.ledger import Ledger
from harness.local import Local
from harness.outcome import Measured, Outcome
from harness.plan import Plan
from harness.turns import Turn

MakeExecutor = Callable[[Plan], Executor]


class Observer(Protocol):
    """Who wants to know how the run goes on."""

    def begin(self, total: int, done: int) -> None: ...
    def start(self, case: Case) -> None: ...
    def wait(self, why: str) -> None: ...
    def finish(self, case: Case, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Summary:
    """How many cases have ended how (`measured`, `unsupported`, `failed`, `open`)."""

    counts: dict[str, int]

    @property
    def failed(self) -> int:
        return self.counts.get("failed", 0)


def execute(
    folder: Path, observer: Observer, make_executor: MakeExecutor = Local, corpus: Path | None = None
) -> Summary:
    """Run every case of the folder's plan that has not ended yet.

    Args:
        make_executor: plan -> who runs its cases; this machine, as a rule, where runs take turns to time.
        corpus: the plan's text, where the record of the run was redacted and does not say which it is.

    Raises:
        UserError: the ledger cannot be read, or another process writes this run.
        KeyboardInterrupt: passed on, with everything recorded that had ended.
    """
    with sole_writer(folder), Ledger.open(folder / LEDGER) as ledger:
        facts = ledger.facts()
        plan = recorded_plan(facts, folder)
        if corpus is not None:
            _require_own_text(plan)
            plan = plan.with_corpus(corpus)
        cases = [entry.case for entry in ledger.entries()]
        done = ledger.finished_keys()
        observer.begin(len(cases), len(done))
        remaining = [case for case in cases if case.key not in done]
        if remaining:
            plan.require_corpus(remaining)
            places = Places(facts)
            try:
                with make_executor(plan) as executor:
                    if isinstance(executor, Local):  # elsewhere a scheduler keeps timed cases apart
                        executor.take_turns(Turn(folder.name, observer.wait))
                    _run_all(remaining, executor, ledger, observer, places)
            finally:
                places.write(ledger, folder)
        return Summary(ledger.counts())


def _require_own_text(plan: Plan) -> None:
    if plan.corpus is None:
        raise UserError(
            "--corpus: this run was planned with the Python standard library's text, or with none",
            expected="a run that was started with --corpus, whose text is now elsewhere",
            remedy="leave --corpus out, or start a new run with it",
        )


def _run_all(
    cases: Sequence[Case], executor: Executor, ledger: Ledger, observer: Observer, places: Places
) -> None:
    for ended in executor.run(cases, observer.start):
        outcome = at_its_machine(ended)
        ledger.record(ended.case, outcome, finished_at=time.time(), elapsed_seconds=ended.elapsed_seconds)
        places.note(ended)
        observer.finish(ended.case, outcome)


def at_its_machine(ended: Ended) -> Outcome:
    """The outcome, with the machine among its facts where something was measured."""
    match ended.outcome:
        case Measured(columns, facts) as measured if ended.machine and "machine" not in {*columns, *facts}:
            return replace(measured, facts={**facts, "machine": ended.machine.label})
        case other:
            return other


class Places:
    """What is recorded of where a run ran: its environment, its backends, and the machines by fingerprint.

    Args:
        facts: the ledger's; `environment` is that of the process that started the run.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self._environment: dict[str, Any] = facts.get("environment", {})
        self._machines: dict[str, Any] = facts.get("machines", {})

    def note(self, ended: Ended) -> None:
        self._environment.setdefault("backends", {}).update(ended.backends)
        if ended.machine:
            self._machines.setdefault(ended.machine.label, dict(ended.machine.environment))

    def write(self, ledger: Ledger, folder: Path) -> None:
        ledger.set_fact("environment", self._environment)
        ledger.set_fact("machines", self._machines)
        try:
            write_environment(folder, ledger.facts()["environment"])
        except OSError as error:
            raise UserError(
                f"{folder}: cannot write environment.json: {error.strerror or error}",
                remedy="make room, then go on with --resume",
            ) from error
