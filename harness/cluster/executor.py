"""Cases on a Dask cluster: what is timed first, one comparison at a time per machine, then all else, packed.

Exclusiveness is a Dask resource that each worker offers once: a timed comparison takes all of it, so that
nothing else of this or any other run is at work on that worker; other cases take shares too small to matter.
A comparison (all backends of one block and replicate) is one task, on one machine, so that its ratios are
paired.  In flight are only as many tasks as keep the workers busy: the parent's memory does not grow with
the plan, and the record keeps up.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.case import Case
from harness.cluster import task
from harness.cluster.connection import RESOURCE, START_COMMAND
from harness.cluster.members import Members
from harness.cluster.messages import Answer, Request, bounded, software
from harness.errors import Interrupted, UserError
from harness.executor import Ended, Starting, blocks
from harness.local import is_timed
from harness.outcome import Failed, from_json
from harness.plan import Plan

if TYPE_CHECKING:
    from distributed import Client, Future

SHARE = 2.0**-20
"""Of the resource, for a case that is not timed: a power of two, so that shares add up exactly."""
TASKS_PER_SLOT = 3
"""How many tasks are in flight for each one that can be at work: the next is there when one ends."""
POLL_SECONDS = 2.0
FIRST_WORKER_SECONDS = 60.0
"""How long the first worker may take to come where somebody else starts the workers."""
ANSWER_SECONDS = 15.0
"""How long an announced answer may take to arrive: where its worker dies on the way, it never does."""
LOST_SECONDS = 300.0
"""How long a run goes without any worker before it stops; it can be resumed."""


@dataclass(frozen=True)
class Unit:
    """What is sent as one task: a comparison, which has its machine for itself, or one case among others.

    Args:
        alone: sent when nothing else is: a worker that dies now dies of this.
    """

    cases: tuple[Case, ...]
    exclusive: bool
    alone: bool = False


@dataclass(frozen=True)
class Sent:
    """A unit on its way; `workers` are those that may take it, None for all."""

    unit: Unit
    future: Future[str]
    workers: list[str] | None


class Cluster:
    """The executor of a Dask cluster.

    Args:
        plan: whose cases these are.
        connection: gives the client, and closes it.
        say: told what is being waited for.
        patient: wait for the first worker as long as it takes (a queue may hold it back).
    """

    def __init__(
        self,
        plan: Plan,
        connection: AbstractContextManager[Client],
        say: Callable[[str], None],
        *,
        patient: bool = False,
    ) -> None:
        self._plan = plan
        self._connection = connection
        self._say = say
        self._patient = patient
        self._run = uuid.uuid4().hex
        self._sent: dict[str, Sent] = {}
        self._again: deque[Unit] = deque()
        self._suspects: deque[Case] = deque()
        self._returned: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._refreshed = 0.0
        self._deserted_at: float | None = None
        self._stack, self._entered = ExitStack(), False

    def __enter__(self) -> Cluster:
        if self._entered:
            return self
        with ExitStack() as stack:
            self._client = stack.enter_context(self._connection)
            self._members = Members(self._client, self._plan)
            self._wait_for_the_first()
            stack.callback(self._end)
            self._stack, self._entered = stack.pop_all(), True
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, cases: Sequence[Case], starting: Starting) -> Iterator[Ended]:
        """What is timed, then all else, then what was there when workers died, one after the other."""
        seed, timed = self._plan.seed, [case for case in cases if is_timed(case)]
        others = [case for case in cases if not is_timed(case)]
        compared = (Unit(block, exclusive=True) for block in blocks(timed, seed))
        packed = (Unit((case,), exclusive=False) for block in blocks(others, seed) for case in block)
        yield from self._all(compared, lambda: len(self._members), starting)
        yield from self._all(packed, lambda: self._members.threads, starting)
        while self._suspects:
            alone = Unit((self._suspects.popleft(),), exclusive=True, alone=True)
            yield from self._all(iter([alone]), lambda: 1, starting)

    def _all(self, units: Iterator[Unit], slots: Callable[[], int], starting: Starting) -> Iterator[Ended]:
        """Each unit to its end, or among the suspects.

        Args:
            slots: how many can be at work at once.
        """
        while True:
            while len(self._sent) < TASKS_PER_SLOT * max(1, slots()):
                unit = self._again.popleft() if self._again else next(units, None)
                if unit is None:
                    break
                self._send(unit)
                for case in unit.cases:
                    starting(case)
            if not self._sent:
                return
            for sent in self._come_back():
                yield from self._read(sent)

    def _send(self, unit: Unit) -> None:
        plan, study = self._plan, unit.cases[0].study  # a comparison is of one study
        request = Request(
            run=self._run,
            name=f"of plan {plan.name} from a cluster",
            software=software(),
            cases=[case.to_json() for case in unit.cases],
            exclusive=unit.exclusive,
            num_threads=plan.num_threads,
            corpus=plan.corpus,
            budget_seconds=plan.budget_seconds,
            max_seconds=plan.limit_of(study),
            hang_seconds=plan.hang_of(study),
        )
        workers = self._members.to_compare_on() if unit.exclusive else None
        future = self._client.submit(
            task.measure,
            request.model_dump_json(),
            key=f"rnn-harness-{uuid.uuid4().hex}",
            resources={RESOURCE: 1.0 if unit.exclusive else SHARE},
            workers=workers,
            pure=False,
        )
        self._sent[str(future.key)] = Sent(unit, future, workers)
        future.add_done_callback(lambda done: self._returned.put(str(done.key)))

    def _come_back(self) -> Iterator[Sent]:
        """Those that have come back since, or none after a while."""
        with suppress(queue.Empty):
            key = self._returned.get(timeout=POLL_SECONDS)
            while True:
                if key in self._sent:  # else it was given up, and came all the same
                    yield self._sent.pop(key)
                key = self._returned.get_nowait()
        self._watch()

    def _read(self, sent: Sent) -> Iterator[Ended]:
        from distributed import KilledWorker

        unit = sent.unit
        try:
            answer = Answer.model_validate_json(bounded(sent.future.result(timeout=ANSWER_SECONDS)))
        except KilledWorker as error:
            if unit.alone:
                reason = f"its worker died, {error.allowed_failures + 1} times, with nothing beside it"
                yield from self._failed(unit, reason, str(error))
            else:
                self._suspects.extend(unit.cases)
            return
        except (OSError, TimeoutError, _cancelled()):
            self._require_scheduler()
            self._again.append(unit)
            return
        except Exception as error:  # whatever a worker's environment may do to a task is that task's end
            yield from self._failed(unit, f"{type(error).__name__}: {error}", "")
            return
        if answer.refused is not None or len(answer.ended) != len(unit.cases):
            raise UserError(f"a worker refused a case: {answer.refused or 'not all of it came back'}")
        machine = self._members.machine(answer.machine)
        for case, ended in zip(unit.cases, answer.ended, strict=True):
            backends = {name: said for name, said in answer.backends.items() if name == case.backend}
            yield Ended(case, from_json(ended.outcome), ended.elapsed_seconds, machine, backends)

    def _failed(self, unit: Unit, reason: str, log: str) -> Iterator[Ended]:
        for case in unit.cases:
            yield Ended(case, Failed(reason, log), 0.0, None)

    def _watch(self) -> None:
        """See who has come and gone; take back what waits for somebody who has gone."""
        if time.monotonic() - self._refreshed < POLL_SECONDS:
            return
        self._require_scheduler()
        self._members.refresh()
        self._refreshed = time.monotonic()
        self._require_worker()
        for key, sent in list(self._sent.items()):
            if sent.workers is not None and not self._members.has_any(sent.workers):
                self._client.cancel([sent.future], force=True)
                self._again.append(self._sent.pop(key).unit)

    def _require_worker(self) -> None:
        """One may come back, or another; not for ever, where no queue holds it back."""
        if len(self._members):
            self._deserted_at = None
        elif self._deserted_at is None:
            self._deserted_at = time.monotonic()
            until = "as long as it takes" if self._patient else f"{LOST_SECONDS:g} s"
            self._say(f"no worker is left; waiting {until} for one ({START_COMMAND})")
        elif not self._patient and time.monotonic() - self._deserted_at > LOST_SECONDS:
            raise Interrupted(
                f"no worker was left, and none came within {LOST_SECONDS:g} s",
                remedy=f"start workers with: {START_COMMAND}; then resume the run",
            )

    def _require_scheduler(self) -> None:
        if self._client.status != "running":
            raise Interrupted("the scheduler was lost", remedy="start it again, and resume the run")

    def _wait_for_the_first(self) -> None:
        deadline, told = time.monotonic() + FIRST_WORKER_SECONDS, False
        while True:
            self._members.refresh()
            if len(self._members):
                return
            if self._members.others() or (not self._patient and time.monotonic() > deadline):
                others = self._members.others()
                who = f"none of the {others} workers" if others else "no worker came that"
                raise UserError(
                    f"{who} offers the resource {RESOURCE}",
                    remedy=f"start workers with: {START_COMMAND}",
                )
            if not told:
                self._say("waiting for a worker")
                told = True
            time.sleep(POLL_SECONDS / 4)

    def _end(self) -> None:
        """Nothing of this run goes on anywhere."""
        if self._client.status != "running":
            return
        with suppress(OSError, TimeoutError):
            self._client.cancel([sent.future for sent in self._sent.values()], force=True)
            self._client.run(task.end, self._run, on_error="ignore")


def _cancelled() -> type[BaseException]:
    from concurrent.futures import CancelledError

    return CancelledError
