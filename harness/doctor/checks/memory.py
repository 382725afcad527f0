"""Memory: enough of it, none of it on a disk, and a peak that can be reset."""

from __future__ import annotations

from harness.doctor.check import Scene, Seen, check
from harness.measure.memory import can_reset_peak

LITTLE_BYTES = 2 * 2**30
SWAP_BYTES = 64 * 2**20


@check("memory")
def memory(scene: Scene) -> Seen:
    found = scene.environment
    free = min(found.memory_available_bytes, found.cgroup_memory_bytes or found.memory_available_bytes)
    if free < LITTLE_BYTES:
        remedy = "end what holds it; cases that do not fit are left out, with their estimate"
        return "warning", f"{free / 2**30:.1f} GiB of memory can be had", remedy
    return "ok", f"{free / 2**30:.1f} GiB of memory can be had"


@check("swap")
def swap(scene: Scene) -> Seen:
    used = scene.environment.swap_used_bytes
    if used > SWAP_BYTES:
        remedy = "end what does not fit, then: sudo swapoff -a && sudo swapon -a"
        return "warning", f"{used / 2**20:.0f} MiB lie in swap and may be fetched at any time", remedy
    return "ok", "swap is not in use"


@check("peak memory")
def peak_memory(scene: Scene) -> Seen:
    if can_reset_peak():
        return "ok", "a process may reset its high-water mark"
    return (
        "warning",
        "/proc/self/clear_refs is refused: each memory case takes a fresh process and twice the memory",
        "where this is a container, its policy may allow it; the numbers are as exact",
    )
