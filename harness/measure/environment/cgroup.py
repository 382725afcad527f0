"""What the control group allows: processor time and memory, in version 1 and in version 2.

A limit holds for everything below it, so that the smallest on the way up to the root counts.  Within a
container the path that the kernel names may not be visible; then what is mounted is the container's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
_UNLIMITED_BYTES = 2**60
"""Version 1 has no word for "no limit", only a very large number."""


def cores() -> float | None:
    """Processor time in cores; None without a quota."""
    found = [_quota_v2(folder) for folder in _folders("")]
    found += [_quota_v1(folder) for folder in _folders("cpu")]
    return min((quota for quota in found if quota is not None), default=None)


def memory_bytes() -> int | None:
    """Memory; None without a limit."""
    found = [_number(folder / "memory.max") for folder in _folders("")]
    found += [_number(folder / "memory.limit_in_bytes") for folder in _folders("memory")]
    return min((limit for limit in found if limit is not None and limit < _UNLIMITED_BYTES), default=None)


def _quota_v2(folder: Path) -> float | None:
    """cpu.max: "max 100000" or "150000 100000"."""
    words = _words(folder / "cpu.max")
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if len(words) == 1 and words[0].isdigit() else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").split()
    except OSError:
        return []


def _folders(controller: str) -> Iterator[Path]:
    """This process's group and all above it; `controller` is "" for version 2."""
    for mount in _mounts(controller):
        relative = _group(controller).strip("/")
        below = mount / relative
        yield mount
        while below != mount and mount in below.parents:
            yield below
            below = below.parent


def _mounts(controller: str) -> list[Path]:
    top = ROOT / "sys/fs/cgroup"
    if not controller:
        return [top, top / "unified"]
    return [top / name for name in (controller, "cpu,cpuacct") if name.split(",")[0] == controller]


def _group(controller: str) -> str:
    """The path of this process's group: a line "4:memory:/path", "0::/path" in version 2."""
    try:
        lines = (ROOT / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) == 3 and controller in parts[1].split(","):
            return "" if ".." in parts[2].split("/") else parts[2]
    return ""
