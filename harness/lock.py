"""A lock that says who holds it: an advisory lock on a file that names its holder.

The kernel lets go of it when its holder ends, however that one ended; so what stands in the file is
believed only while the lock is held.  The file stays: a lock file that is removed can be held twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.text import one_line

_LONGEST_NOTE = 4096


@dataclass(frozen=True)
class Holder:
    """Args:
    run: what it runs, a run id.
    process: its number.
    since: local time, for people.
    """

    run: str
    process: int
    since: str

    def __str__(self) -> str:
        return f"run {self.run} (process {self.process}, since {self.since})"


class OwnedLock:
    """Held by one process at a time.

    Args:
        path: the lock file; made where it is absent.
        run: what this process runs, for those who wait.
        shared: users other than its maker may hold it too.

    Raises:
        UserError: (on :meth:`try_acquire`) the file cannot be opened, or is no plain file.
    """

    def __init__(self, path: Path, run: str, *, shared: bool = False) -> None:
        self.path = path
        self._run = run
        self._mode = 0o666 if shared else 0o600
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """This object holds it."""
        return self._file is not None

    def try_acquire(self) -> bool:
        """Hold it now, or say no."""
        if self.held:
            return True
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        self._sign(file)
        return True

    def release(self) -> None:
        """Let go of it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def holder(self) -> Holder | None:
        """Who wrote its name there last; None where nothing sensible is written."""
        try:
            file = self._open()
        except UserError:
            return None
        try:
            note = json.loads(os.pread(file, _LONGEST_NOTE, 0))
            return Holder(one_line(note["run"])[:100], int(note["process"]), one_line(note["since"])[:40])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        finally:
            os.close(file)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # no link, no waiting pipe
        try:
            try:
                # not made where it is: in a folder for all, systems forbid that for another user's file
                file = os.open(self.path, flags)
            except FileNotFoundError:
                file = os.open(self.path, flags | os.O_CREAT, self._mode)
                with contextlib.suppress(PermissionError):
                    os.fchmod(file, self._mode)  # whatever the umask
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot open the lock file: {error.strerror or error}",
                expected="a plain file in a folder that can be written",
                remedy="mend this; RNN_HARNESS_LOCK names another file for the lock on timing",
            ) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise UserError(f"{self.path}: cannot use it as a lock file", expected="a plain file")
        return file

    def _sign(self, file: int) -> None:
        """Who holds it; on a full disk the lock is held all the same."""
        note = {"run": self._run, "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(note).encode(), 0)
