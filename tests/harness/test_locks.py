"""Whoever times, and whoever writes a run, is alone."""

from __future__ import annotations

import pytest

from harness import turns
from harness.errors import UserError
from harness.folder import sole_writer
from harness.lock import OwnedLock
from harness.turns import Turn


def test_a_second_run_waits_for_its_turn_to_time(monkeypatch, tmp_path):
    monkeypatch.setenv(turns.LOCK_VARIABLE, str(tmp_path / "timing.lock"))
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.0)
    first, said = OwnedLock(tmp_path / "timing.lock", "first"), []
    assert first.try_acquire()

    def say(line: str) -> None:
        said.append(line)
        first.release()

    second = Turn("second", say)
    second.take()
    assert len(said) == 1
    assert said[0].startswith("waiting: run first (process ")
    second.end()
    Turn("third", pytest.fail).take()


def test_a_run_has_one_writer(tmp_path):
    with (
        sole_writer(tmp_path),
        pytest.raises(UserError, match="is writing this run"),
        sole_writer(tmp_path),
    ):
        pass
    with sole_writer(tmp_path):
        pass
