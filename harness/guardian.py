"""Nobody is left behind: a shell that waits for the parent's end and then kills a worker's whole group.

The kernel ends a worker with its parent, but not what that worker had started; and a parent that was
killed can do nothing any more.  The guardian waits at the end of a pipe whose other end the parent alone
holds: however the parent ends, the pipe closes.
"""

from __future__ import annotations

import subprocess

_WATCH = 'trap "" HUP INT TERM; read _; kill -s KILL -- "-$1" 2>/dev/null'
"""The trap: what tells the parent to end must not end the guardian before its work is done."""


class Guardian:
    """Watches over one process group from its making until :meth:`dismiss`."""

    def __init__(self, group: int) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "guardian", str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The group has ended: nothing is to be killed any more (its number may be somebody else's soon)."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
