"""The same code under two names, and under a third with a tenth more work, through a whole run.

The loop of a run, its workers, its ledger, the throughput study and the report's verdicts are the real ones;
all that is made up is that three backends' names stand for one backend.  The slower one is given sequences
that are a tenth longer, and its cases keep the name of the shorter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.alternation import Limits, alternate
from harness.case import Case, Scalar
from harness.executor import Ended, Starting, blocks
from harness.folder import LEDGER
from harness.ledger import Ledger
from harness.local import Workers
from harness.outcome import Outcome
from harness.plan import Plan
from harness.report.frames import Run
from harness.run import execute
from harness.supervisor import Supervisor

BACKEND = "numpy"
FIRST, SECOND, SLOWER = "first", "second", "slower"
SLOWDOWN = 0.1


@dataclass(frozen=True)
class Size:
    """How large a twin run is: the lengths of its sequences and the number of replicates."""

    seq_lens: tuple[int, ...]
    cells: tuple[str, ...]
    replicates: int


QUICK = Size((200,), ("rnn_tanh", "gru"), 3)
WHOLE = Size((200, 400), ("rnn_tanh", "lstm", "gru"), 5)


def run_twins(folder: Path, size: Size, *, seed: int) -> Run:
    """Run it in `folder` and read it back."""
    cells, lengths = list(size.cells), list(size.seq_lens)
    axes = {"backend": [BACKEND], "cell": cells, "seq_len": lengths}
    axes |= {"batch_size": [4], "hidden_size": [32]}
    plan = Plan(
        name="selftest",
        seed=seed,
        replicates=size.replicates,
        num_threads=1,
        budget_seconds=0.1,
        studies={"throughput": [axes]},
    )
    facts = {"plan": plan.model_dump(), "environment": {}, "run_id": "selftest"}
    Ledger.create(folder / LEDGER, facts, _cases(size)).close()
    execute(folder, Silent(), Twins)
    return Run.read(folder)


def _cases(size: Size) -> Iterator[Case]:
    fixed: dict[str, Scalar] = {
        "pass": "inference",
        "dtype": "float64",
        "batch_size": 4,
        "input_size": None,
        "hidden_size": 32,
    }
    points = itertools.product(range(size.replicates), (FIRST, SECOND, SLOWER), size.cells, size.seq_lens)
    for replicate, name, cell, seq_len in points:
        yield Case("throughput", {"backend": name, "cell": cell, "seq_len": seq_len, **fixed}, replicate)


def work_of(case: Case) -> Case:
    """What a case really measures."""
    seq_len = int(case.axes["seq_len"] or 0)
    longer = round(seq_len * (1 + SLOWDOWN)) if case.backend == SLOWER else seq_len
    return replace(case, axes={**case.axes, "backend": BACKEND, "seq_len": longer})


class Twins:
    """An executor with one fresh worker per name and replicate, all of the same backend."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._workers = Workers(lambda _: Supervisor(BACKEND, plan.threads, None))

    def run(self, cases: Sequence[Case], starting: Starting) -> Iterator[Ended]:
        plan = self._plan
        limits = Limits.of(plan, "throughput")
        for block in blocks(cases, plan.seed):
            self._workers.for_replicate(block[0].replicate)
            for case, outcome, seconds in alternate(
                block, self._workers.of, limits, plan.threads, starting, work_of
            ):
                yield Ended(case, outcome, seconds, None)

    def __enter__(self) -> Twins:
        return self

    def __exit__(self, *exception: object) -> None:
        self._workers.end()


class Silent:
    """An observer that says nothing."""

    def begin(self, total: int, done: int) -> None: ...
    def start(self, case: Case) -> None: ...
    def wait(self, why: str) -> None: ...
    def finish(self, case: Case, outcome: Outcome) -> None: ...
