"""What the system counts of processors and of who uses them: the numbers that `stability` judges by."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Counters:
    """What the system has counted up to now; None where it does not say.

    Args:
        monotonic: seconds of a clock that nobody sets.
        busy_seconds, steal_seconds: of the allowed cores together, ours included in the former.
        own_seconds: processor time of those who are measured in turn, and of what they started.
        quota_events: how often the control group ran out of its quota.
        heat_events: how often a core was slowed for heat.
        clock_hertz: of the fastest allowed core.
    """

    monotonic: float
    own_seconds: float
    busy_seconds: float | None = None
    steal_seconds: float | None = None
    quota_events: int | None = None
    heat_events: int | None = None
    clock_hertz: float | None = None


def read_counters(root: int | None = None) -> Counters:
    """What this system counts, now.

    Args:
        root: the process whose tree is ours; this one by default.
    """
    cores = os.sched_getaffinity(0)
    busy, steal = _busy_and_steal(cores)
    return Counters(
        monotonic=time.monotonic(),
        own_seconds=_tree_seconds(os.getpid() if root is None else root),
        busy_seconds=busy,
        steal_seconds=steal,
        quota_events=_quota_events(),
        heat_events=_total(f"cpu{core}/thermal_throttle/core_throttle_count" for core in cores),
        clock_hertz=_clock_hertz(cores),
    )


def _busy_and_steal(cores: set[int]) -> tuple[float | None, float | None]:
    """Seconds by /proc/stat: user, nice, system, irq, softirq; and steal.  Guests are counted in user."""
    names = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in _lines("/proc/stat")]
    found = [[int(field) for field in line[1:]] for line in lines if line and line[0] in names]
    if not found or any(len(ticks) < 8 for ticks in found):
        return None, None
    busy = sum(sum(ticks[:3]) + sum(ticks[5:7]) for ticks in found)
    return busy * TICK_SECONDS, sum(ticks[7] for ticks in found) * TICK_SECONDS


def _tree_seconds(pid: int) -> float:
    """Processor time of a process and its live descendants (their own children that have ended included)."""
    seconds = 0.0
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds += sum(int(field) for field in fields[13:15]) * TICK_SECONDS
        if pid == os.getpid():
            seconds += time.process_time()
        else:
            seconds += (
                sum(spent.running for spent in spent_by_threads(pid).values())
                or sum(map(int, fields[11:13])) * TICK_SECONDS
            )
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                seconds += _tree_seconds(int(child))
    return seconds


@dataclass(frozen=True)
class Spent:
    """Seconds of one thread: on a core, and in the queue for one."""

    running: float = 0.0
    waiting: float = 0.0


def spent_by_threads(pid: int | None = None) -> dict[str, Spent]:
    """To the nanosecond, of each thread that lives; empty where the kernel does not say.

    Args:
        pid: of the process; of this one by default.
    """
    found = {}
    with suppress(OSError):
        for task in Path(f"/proc/{os.getpid() if pid is None else pid}/task").iterdir():
            for line in _lines(str(task / "schedstat")):
                running, waiting = line.split()[:2]
                found[task.name] = Spent(1e-9 * int(running), 1e-9 * int(waiting))
    return found


def _quota_events() -> int | None:
    """`nr_throttled` of our control group, of either version."""
    group = next((line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::")), "/")
    places = (f"/sys/fs/cgroup{group}", "/sys/fs/cgroup", "/sys/fs/cgroup/cpu")
    for place in places:
        for line in _lines(f"{place}/cpu.stat"):
            if line.startswith("nr_throttled "):
                return int(line.split()[1])
    return None


def _clock_hertz(cores: set[int]) -> float | None:
    kilohertz = [_number(f"cpu{core}/cpufreq/scaling_cur_freq") for core in cores]
    known = [value for value in kilohertz if value is not None]
    return 1e3 * max(known) if known else None


def _total(names: Iterator[str]) -> int | None:
    known = [value for name in names if (value := _number(name)) is not None]
    return sum(known) if known else None


def _number(name: str) -> int | None:
    lines = _lines(f"/sys/devices/system/cpu/{name}")
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
