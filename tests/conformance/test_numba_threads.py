"""The pool's threads run beside the one that wakes them, not behind it on its core."""

from __future__ import annotations

import os
import threading

import pytest

from implementations.backends.numba_cpu import threads
from implementations.backends.numba_cpu.threads import Pool, current_core

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2 or current_core() is None,
    reason="needs a system that tells which core a thread is on, and two of them",
)


def cores_of_a_part(pool: Pool) -> set[int]:
    """On which cores a part that is not the caller's may run."""
    found: list[set[int]] = []
    pool.run([lambda: None, lambda: found.append(os.sched_getaffinity(0))])
    return found[0]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Its last element is the core that the caller is taken to be on."""
    allowed = sorted(os.sched_getaffinity(0))
    at = [allowed[0]]
    monkeypatch.setattr(threads, "current_core", lambda: at[-1])
    return at


def test_they_keep_off_the_callers_core_wherever_it_moves(core: list[int]) -> None:
    pool, allowed = Pool(), os.sched_getaffinity(0)
    assert cores_of_a_part(pool) == allowed - {core[-1]}
    core.append(sorted(allowed)[1])
    assert cores_of_a_part(pool) == allowed - {core[-1]}
    assert os.sched_getaffinity(0) == allowed


def test_one_that_is_added_later_keeps_off_it_as_well(core: list[int]) -> None:
    pool = Pool()
    cores_of_a_part(pool)
    found: list[set[int]] = []
    together = threading.Barrier(3)

    def part() -> None:
        together.wait()
        found.append(os.sched_getaffinity(0))

    def own() -> None:
        together.wait()

    pool.run([own, part, part])
    assert found == [os.sched_getaffinity(0) - {core[-1]}] * 2


def test_a_caller_that_has_not_moved_asks_for_nothing(
    core: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool()
    cores_of_a_part(pool)
    asked: list[int] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: asked.append(thread))
    cores_of_a_part(pool)
    assert asked == []
    core.append(sorted(os.sched_getaffinity(0))[1])
    cores_of_a_part(pool)
    assert len(asked) == 1


def test_where_there_is_no_other_core_they_stay(core: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {core[-1]})
    pool = Pool()
    asked: list[int] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: asked.append(thread))
    pool.run([lambda: None, lambda: None])
    assert asked == []
    monkeypatch.undo()
    assert os.sched_getaffinity(0) == allowed
