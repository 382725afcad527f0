"""A pool thread does not stay on the core of the one that woke it."""

from __future__ import annotations

import os
import threading

import pytest

from implementations.backends.numba_cpu.threads import current_core, step_aside

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2 or current_core() is None,
    reason="needs a system that tells which core a thread is on, and two of them",
)


def in_a_thread(act: object) -> None:
    """In a thread of its own, whose cores are its own to set."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            act()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def test_it_steps_aside_and_may_go_everywhere_afterwards() -> None:
    def act() -> None:
        allowed = os.sched_getaffinity(0)
        for core in sorted(allowed)[:2]:
            os.sched_setaffinity(0, {core})
            assert current_core() == core
            os.sched_setaffinity(0, allowed)
            if current_core() != core:  # moved by the system itself meanwhile
                continue
            step_aside(core)
            assert os.sched_getaffinity(0) == allowed

    in_a_thread(act)


def test_the_move_is_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: asked.append(set(cores)))
    monkeypatch.setattr("implementations.backends.numba_cpu.threads.current_core", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5})
    step_aside(0)
    assert asked == [{1, 5}, {0, 1, 5}]
    step_aside(1)
    step_aside(None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    step_aside(0)
    assert len(asked) == 2
