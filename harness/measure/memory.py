"""Peak memory of one call above the baseline: the high-water mark of the process, from the call on.

`ru_maxrss` would not do: a child on Linux can inherit its parent's.  Two ways to have a mark that speaks of
the call alone, both after memory that was freed has been given back to the system:

* reset: writing 5 to /proc/self/clear_refs sets VmHWM back to VmRSS;
* ballast: where that is refused, memory is taken until VmRSS has come up to VmHWM; from there on, whatever a
  call takes raises the mark.  A process that once held much would need as much ballast, so each case then
  gets a fresh one (see `Study.needs_fresh_process`), and the record names the method.

A device with memory of its own reports its allocator's peaks instead, and what the driver counts for the
process (context, libraries and foreign allocations included).
"""

from __future__ import annotations

import ctypes
import gc
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from implementations.contract import Backend

RESET = "VmHWM, reset"
BALLAST = "VmHWM, fresh process"
DEVICE = "device allocator"

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_SLACK_BYTES = 256 * 1024
"""The mark may stay this far above the ballast: a quarter of what a measurement may be wrong by."""


class MemoryUnmeasurable(RuntimeError):
    """This system does not show a process its high-water mark; the message says what was missing."""


@dataclass(frozen=True)
class Peak:
    """Args:
    peak_bytes: above the baseline: of the process, or allocated on a device.
    reserved_bytes: on a device whose allocator holds a pool: how far the pool grew.
    process_bytes: on a device: what its driver counts for this process after the call; None where it
        does not say.
    method: how it was measured.
    """

    peak_bytes: int
    reserved_bytes: int | None
    process_bytes: int | None
    method: str


@lru_cache(maxsize=1)
def can_reset_peak() -> bool:
    """Whether this system lets a process reset its high-water mark (a container may refuse it)."""
    try:
        _reset_peak()
    except OSError:
        return False
    return True


def peak_of(call: Callable[[], object], backend: Backend) -> Peak:
    """The peak of one call above what was in use before it.  Call it once before, so that nothing is cold.

    Raises:
        MemoryUnmeasurable: the system shows no high-water mark, or has no room for the ballast.
    """
    device = backend.device_memory()
    if device is None:
        return _process_peak(call)
    with device as found:
        call()
        backend.synchronize()
    return Peak(found["allocated_bytes"], found["reserved_bytes"], found.get("process_bytes"), DEVICE)


def _process_peak(call: Callable[[], object]) -> Peak:
    gc.collect()
    _return_freed_memory()
    ballast: mmap.mmap | None = None
    method = RESET
    try:
        _reset_peak()
    except OSError:
        method, ballast = BALLAST, _fill_up_to_the_mark()
    try:
        baseline = _status_bytes("VmRSS")
        kept = call()
        peak = _status_bytes("VmHWM")
        del kept
    finally:
        if ballast is not None:
            ballast.close()
    return Peak(max(0, peak - baseline), None, None, method)


def _reset_peak() -> None:
    _CLEAR_REFS.write_text("5")


def _fill_up_to_the_mark() -> mmap.mmap | None:
    """Memory, written to, that brings VmRSS up to VmHWM; None where it stands there already."""
    missing = _status_bytes("VmHWM") - _status_bytes("VmRSS")
    if missing <= _SLACK_BYTES:
        return None
    available = psutil.virtual_memory().available
    if missing > 0.8 * available:
        raise MemoryUnmeasurable(
            f"the peak cannot be reset through {_CLEAR_REFS}, and filling up to it would take "
            f"{missing / 2**30:.1f} GiB; {available / 2**30:.1f} GiB of memory are free"
        )
    ballast = mmap.mmap(-1, missing)
    for start in range(0, missing, mmap.PAGESIZE):
        ballast[start] = 1
    return ballast


def _return_freed_memory() -> None:
    """Give the C heap's freed pages back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status_bytes(field: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        raise MemoryUnmeasurable(f"cannot read {_STATUS}: {error.strerror}") from error
    for line in lines:
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise MemoryUnmeasurable(f"{_STATUS} has no {field}")
