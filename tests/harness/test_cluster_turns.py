"""A cluster's worker times only in its machine's turn, and waits where another run is timing there."""

from __future__ import annotations

import logging
import threading

import pytest

from harness.case import Case
from harness.cluster import bench
from harness.cluster.bench import Bench
from harness.cluster.messages import Request, Software
from harness.lock import OwnedLock
from harness.outcome import Measured
from harness.turns import lock_path


class Watched:
    """Stands for the measuring process; notes whether somebody else could time meanwhile."""

    seen: list[bool]
    description = None

    def __init__(self, backend, num_threads, corpus):
        self.backend = backend

    def begin(self, case, **limits):
        probe = OwnedLock(lock_path(), "probe", shared=True)
        self.seen.append(probe.try_acquire())
        probe.release()
        return Measured({}, {})

    def kill(self):
        pass

    def close(self):
        pass


@pytest.fixture
def seen(monkeypatch, tmp_path):
    monkeypatch.setenv("RNN_HARNESS_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(bench, "Supervisor", Watched)
    monkeypatch.setattr(Watched, "seen", [], raising=False)
    return Watched.seen


def request(study, *, exclusive):
    return Request(
        run="r",
        name="of a test",
        software=Software(rnn_harness="", python=""),
        cases=[Case(study, {"backend": "numpy"}).to_json()],
        exclusive=exclusive,
        num_threads=1,
        corpus=None,
        budget_seconds=1,
        max_seconds=1,
        hang_seconds=1,
    )


@pytest.mark.parametrize(
    ("study", "exclusive", "others_could"),
    [("throughput", True, False), ("gradient_decay", False, True), ("gradient_decay", True, True)],
)
def test_only_what_is_timed_takes_the_turn(seen, study, exclusive, others_could):
    asked = request(study, exclusive=exclusive)
    assert len(Bench(asked, slots=1).run(asked, "here").ended) == 1
    assert seen == [others_could]
    assert OwnedLock(lock_path(), "after", shared=True).try_acquire()


@pytest.mark.parametrize("given_up", [False, True])
def test_it_waits_for_another_run_until_its_own_is_ended(seen, monkeypatch, given_up):
    waiting = threading.Event()
    monkeypatch.setattr(logging.getLogger(bench.__name__), "warning", lambda line: waiting.set())
    other, asked, answers = (
        OwnedLock(lock_path(), "other", shared=True),
        request("throughput", exclusive=True),
        [],
    )
    assert other.try_acquire()
    here = Bench(asked, slots=1)
    thread = threading.Thread(target=lambda: answers.append(here.run(asked, "here")))
    thread.start()
    assert waiting.wait(30)
    assert not seen
    if given_up:
        here.end()
    other.release()
    thread.join(30)
    (answer,) = answers
    assert (answer.refused is not None) == given_up
    assert len(seen) == (not given_up)
