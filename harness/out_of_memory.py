"""Was it the system that killed a process, for lack of memory?  Its own count of such kills says so.

A process that is killed cannot say why, and the signal (SIGKILL) is anybody's.  The kernel counts its
out-of-memory kills, per control group and for the whole machine: a count that rose while a case ran is the
likely cause of that case's end.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/")


def kills(root: Path = ROOT) -> int:
    """Out-of-memory kills counted so far, over the files of :func:`counters`; 0 where nothing is counted."""
    return sum(_count(path) for path in counters(root))


def counters(root: Path = ROOT) -> list[Path]:
    """Where the system counts: the machine's total, and this process's control group (version 2, then 1)."""
    found = [root / "proc/vmstat"]
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        below = group.lstrip("/")
        if not controllers:
            found.append(root / "sys/fs/cgroup" / below / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(root / "sys/fs/cgroup/memory" / below / "memory.oom_control")
    return found


def likely_cause(before: int, after: int) -> str:
    """What to add to "killed by signal SIGKILL"."""
    if after > before:
        return "likely out of memory: the system counted such a kill meanwhile"
    return "not by the harness, and the system counted no out-of-memory kill"


def _count(path: Path) -> int:
    found = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
    return int(found[1]) if found else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
