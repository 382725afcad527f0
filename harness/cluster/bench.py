"""The measuring processes of one Dask worker, for one run: they live from case to case, as on one machine.

Timed cases find one live process per backend and replicate, and wait for the machine's turn to time, which
a run that was started there takes too.  Other cases share a pool of as many
processes as the worker has threads, each with its share of the cores.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from harness.alternation import Limits, alternate
from harness.case import Case
from harness.cluster.messages import Answer, EndedThere, Request
from harness.local import Workers, is_timed
from harness.outcome import to_json
from harness.supervisor import Supervisor
from harness.turns import Turn

END_SECONDS = 10.0
"""How long the cases at work get to notice that their process was killed."""


class Bench:
    """Args:
    request: any request of the run: its threads and corpus are those of all.
    slots: how many cases that are not timed may be at work at once.
    """

    def __init__(self, request: Request, slots: int) -> None:
        cores = len(os.sched_getaffinity(0))
        self._whole = request.num_threads or cores
        share = max(1, min(self._whole, cores // slots))
        self._slots = slots
        self._corpus = request.corpus
        self._timed = Workers(lambda backend: self._started(backend, self._whole))
        self._make_shared = lambda backend: self._started(backend, share)
        self._idle: list[Supervisor] = []
        self._all: list[Supervisor] = []
        self._at_work = 0
        self._ended = False
        self._changed = threading.Condition()
        self._last_used = time.monotonic()

    def run(self, request: Request, machine: str) -> Answer:
        """The cases of a request, in turn where their study can pause, until the run is ended."""
        ended: dict[str, EndedThere] = {}
        backends: dict[str, Any] = {}
        workers: dict[str, Supervisor] = {}
        cases = [Case.from_json(case) for case in request.cases]
        limits = Limits(request.budget_seconds, request.max_seconds, request.hang_seconds)
        with self._working(), ExitStack() as stack:
            if request.exclusive and any(map(is_timed, cases)):
                turn = Turn(request.name, logging.getLogger(__name__).warning)
                stack.callback(turn.end)
                turn.take(given_up=lambda: self._ended)
            if self._ended:
                return Answer(refused="the run was ended")

            def worker_of(case: Case) -> Supervisor:
                supervisor = self._supervisor(case, exclusive=request.exclusive)
                workers[case.key] = stack.enter_context(supervisor)
                return workers[case.key]

            for case, outcome, seconds in alternate(cases, worker_of, limits, self._whole):
                if self._ended:
                    return Answer(refused="the run was ended")
                ended[case.key] = EndedThere(outcome=to_json(outcome), elapsed_seconds=seconds)
                said = workers[case.key].description
                if said is not None:
                    backends[case.backend] = said
        return Answer(machine=machine, ended=[ended[case.key] for case in cases], backends=backends)

    def end(self) -> None:
        """Kill what is at work, and end every process."""
        self._ended = True
        with self._changed:
            for supervisor in self._all:
                supervisor.kill()
            self._changed.wait_for(lambda: self._at_work == 0, END_SECONDS)
            self._timed.end()
            while self._all:
                self._all.pop().close()
            self._idle.clear()

    def touch(self) -> None:
        """There is about to be something to do."""
        with self._changed:
            self._last_used = time.monotonic()

    def idle_seconds(self) -> float:
        """For how long there has been nothing to do."""
        with self._changed:
            return 0.0 if self._at_work else time.monotonic() - self._last_used

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._changed:
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._last_used = time.monotonic()
                self._changed.notify_all()

    @contextmanager
    def _supervisor(self, case: Case, *, exclusive: bool) -> Iterator[Supervisor]:
        if exclusive:
            self._timed.for_replicate(case.replicate)
            yield self._timed[case.backend]
            return
        supervisor = self._taken(case.backend)
        try:
            yield supervisor
        finally:
            with self._changed:
                self._idle.append(supervisor)

    def _taken(self, backend: str) -> Supervisor:
        """An idle process of this backend, or a new one in the place of one that waited longest."""
        with self._changed:
            self._timed.end()
            same = next((s for s in self._idle if s.backend == backend), None)
            if same is not None:
                self._idle.remove(same)
                return same
            oldest = self._idle.pop(0) if len(self._idle) + self._at_work > self._slots else None
        if oldest is not None:
            self._all.remove(oldest)
            oldest.close()
        return self._make_shared(backend)

    def _started(self, backend: str, num_threads: int) -> Supervisor:
        supervisor = Supervisor(backend, num_threads, self._corpus)
        self._all.append(supervisor)
        return supervisor
