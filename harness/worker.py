"""The supervised child process: it loads one backend and measures one case at a time.

Requests come as JSON lines on standard input; answers go, as JSON lines, to what was standard output when
the process started (then standard output joins standard error, so that no library can speak into the
answers).  A measurement that takes turns with others says when it pauses, and is told
to go on.  The process ends with its parent, however that one ended.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from harness import outcome as outcomes
from harness.case import Case
from harness.outcome import Failed, Measured, Outcome, Unsupported

if TYPE_CHECKING:
    from harness.measure.timing import Go, Pause
    from harness.studies.study import Company
    from implementations.contract import Compilation

PARENT_POLL_SECONDS = 0.5
SETTLE_SECONDS = 1e-3
"""After a stop every thread of this process wakes once, those too that have nothing to do: until they sleep
again they would stand in the queue before and behind whoever is measured."""


def main() -> None:
    """Run until the parent closes our input."""
    parent = os.getppid()
    _end_with_parent(parent)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    setup = json.loads(sys.stdin.readline())
    try:
        worker = Worker(setup["backend"], setup["num_threads"], setup["corpus"])
    except Unavailable as error:
        _answer(answers, {"unavailable": str(error)})
        return
    _answer(answers, {"ready": worker.describe()})
    from harness.studies.study import Company

    while line := sys.stdin.readline():
        request = json.loads(line)
        case = Case.from_json(request["case"])
        company = Company(request["together"], parent, functools.partial(_stand_still, answers, case.key))
        outcome = worker.run(case, request["budget_seconds"], request["max_seconds"], company)
        _answer(answers, {"key": case.key, "outcome": outcomes.to_json(outcome)})


class Unavailable(RuntimeError):
    """The backend cannot be loaded here; the message is the reason."""


class Worker:
    """One loaded backend under one thread budget.

    Raises:
        Unavailable: the backend's library or device is absent.
    """

    def __init__(self, backend: str, num_threads: int, corpus: str | None) -> None:
        from implementations.contract import BackendUnavailable
        from implementations.registry import load_backend

        try:
            self.backend = load_backend(backend)
        except BackendUnavailable as error:
            raise Unavailable(str(error)) from error
        self.backend.set_num_threads(num_threads)
        self.num_threads = num_threads
        self.corpus = corpus

    def describe(self) -> dict[str, Any]:
        """What the report says of this backend; also the proof that its thread budget is kept.

        Raises:
            RuntimeError: some thread pool is larger than the budget.
        """
        from threadpoolctl import threadpool_info

        pools = {f"{p['internal_api']}:{p['prefix']}": p["num_threads"] for p in threadpool_info()}
        for pool, threads in pools.items():
            if threads > self.num_threads:
                raise RuntimeError(f"{pool} has {threads} threads, the budget is {self.num_threads}")
        return {
            **self.backend.describe(),
            "device": self.backend.device,
            "num_threads": self.backend.num_threads,
            "thread_pools": pools,
        }

    def run(self, case: Case, budget_seconds: float, max_seconds: float, company: Company) -> Outcome:
        """Measure one case; whatever goes wrong in it is its outcome."""
        from harness.studies.study import STUDIES, Context

        context = Context(self.backend, self.num_threads, self.corpus, budget_seconds, max_seconds, company)
        before = self.backend.compilation()
        try:
            study = STUDIES.only(case.study)
            reason = study.why_not(case, context)
            outcome = Unsupported(reason) if reason else study.measure(case, context)
            return with_compilation(outcome, before, self.backend.compilation())
        except Exception as error:
            reason = ": ".join(part for part in (type(error).__name__, str(error)) if part)
            return Failed(reason, traceback.format_exc()[-8000:])


def with_compilation(outcome: Outcome, before: Compilation | None, after: Compilation | None) -> Outcome:
    """A measurement with what was compiled for it, the probes of its size included, where that is known.

    A study that observes compilation itself keeps its own columns.
    """
    if before is None or after is None or not isinstance(outcome, Measured):
        return outcome
    spent = after.since(before)
    facts = {
        "compile_seconds": spent.seconds,
        "pieces_compiled": spent.compiled,
        "pieces_loaded": spent.loaded,
    }
    new = {name: value for name, value in facts.items() if name not in outcome.columns}
    return replace(outcome, facts={**outcome.facts, **new})


def _stand_still(answers: IO[str], key: str, at: Pause) -> Go:
    """Say that this case pauses, and wait to be told to go on.

    Raises:
        EOFError: the parent closed our input.
    """
    from harness.measure.timing import Go

    _answer(answers, {"paused": key, "wants_again": at.wants_again})
    line = sys.stdin.readline()
    if not line:
        raise EOFError("the run was ended")
    time.sleep(SETTLE_SECONDS)
    return Go(**json.loads(line))


def _answer(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _end_with_parent(parent: int) -> None:
    """Die when the parent dies: at once through the kernel where it can, else within a poll."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


if __name__ == "__main__":
    main()
