"""Who runs cases: what the loop of a run asks of this machine, and of a cluster alike.

An executor decides where and when; the loop alone records.  Cases that are timed come in blocks, all backends
of one comparison and one replicate, so that whoever runs them can keep a block together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from harness.case import Case
from harness.measure.machine import Machine
from harness.outcome import Outcome

Starting = Callable[[Case], None]


@dataclass(frozen=True)
class Ended:
    """A case that has ended, and where.

    Args:
        elapsed_seconds: how long it took there, all of it.
        machine: None where no machine can be named (it was lost).
        backends: what the backends that ran there said of themselves, by name.
    """

    case: Case
    outcome: Outcome
    elapsed_seconds: float
    machine: Machine | None
    backends: dict[str, Any] = field(default_factory=dict)


class Executor(Protocol):
    """Use it as a context: on leaving, whatever it started has ended.

    It may be entered again within: who wants to know before anything is written whether it can be reached
    enters it first, and the first to leave ends it.
    """

    def run(self, cases: Sequence[Case], starting: Starting) -> Iterator[Ended]:
        """Run the cases, each to its end, and give each once, in whatever order they end.

        Args:
            cases: in the plan's order.
            starting: told of a case when it starts.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def blocks(cases: Sequence[Case], seed: int) -> Iterator[tuple[Case, ...]]:
    """Comparison after comparison as planned, replicate after replicate; within one in random order.

    The order of a block depends on its own name and the seed alone, so a resumed run keeps it.
    """
    found: dict[tuple[int, str], list[Case]] = {}
    for case in cases:
        found.setdefault((case.replicate, case.block), []).append(case)
    for (_, block), members in sorted(found.items(), key=lambda item: item[0][0]):
        members.sort(key=lambda case: case.key)
        random.Random(f"{seed} {block}").shuffle(members)
        yield tuple(members)
