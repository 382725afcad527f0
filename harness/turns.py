"""One machine, one timing at a time: runs take turns where something is timed.

Two benchmarks at once on one machine measure each other.  Whoever times holds a lock of the whole
machine; another run waits, and says for whom and since when.  What is not timed needs no turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from harness.lock import OwnedLock

LOCK_VARIABLE = "RNN_HARNESS_LOCK"
"""Environment variable with the path of another lock file (a machine that several containers share)."""
POLL_SECONDS = 0.5
SAY_AGAIN_SECONDS = 300.0


class Turn:
    """This run's turn to time.

    Args:
        run: the run's id.
        say: told for whom this run waits, once per holder and again every few minutes.
    """

    def __init__(self, run: str, say: Callable[[str], None]) -> None:
        self._lock = OwnedLock(lock_path(), run, shared=True)
        self._say = say

    def take(self, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Return when this run may time; at once where it has its turn already.

        Args:
            given_up: asked while waiting, whether to wait no longer.

        Returns:
            Whether it has its turn.

        Raises:
            UserError: the lock file cannot be used.
        """
        told, told_at = "", 0.0
        while not self._lock.try_acquire():
            if given_up():
                return False
            holder = self._lock.holder() or "another run"
            line = f"waiting: {holder} is timing on this machine, and holds {self._lock.path}"
            if line != told or time.monotonic() - told_at > SAY_AGAIN_SECONDS:
                self._say(line)
                told, told_at = line, time.monotonic()
            time.sleep(POLL_SECONDS)
        return True

    def end(self) -> None:
        """Let others time."""
        self._lock.release()


def lock_path() -> Path:
    """The machine's lock file: one for all its users, whatever folder each has for temporary files."""
    return Path(os.environ.get(LOCK_VARIABLE) or "/tmp/rnn-harness-timing.lock")
