"""Peak memory of one call above the baseline: the high-water mark of the process, reset before the call.

`ru_maxrss` would not do: a child on Linux can inherit its parent's.  Writing 5 to /proc/self/clear_refs
sets VmHWM back to VmRSS; freed memory is given back to the system first, or a call could reuse it unseen.
A device with memory of its own reports its allocator's peak instead.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from implementations.contract import Backend

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


class MemoryUnmeasurable(RuntimeError):
    """This system does not let a process reset its high-water mark; the message says what was refused."""


@dataclass(frozen=True)
class Peak:
    """`peak_bytes` above the baseline; `reserved_bytes` where a device's allocator holds its own pool."""

    peak_bytes: int
    reserved_bytes: int | None
    method: str


def peak_of(call: Callable[[], object], backend: Backend) -> Peak:
    """The peak of one call above what was in use before it.  Call it once before, so that nothing is cold.

    Raises:
        MemoryUnmeasurable: the high-water mark cannot be reset here.
    """
    device = backend.device_memory()
    if device is None:
        return Peak(_process_peak(call), None, "VmHWM")
    with device as found:
        call()
        backend.synchronize()
    return Peak(found["allocated_bytes"], found["reserved_bytes"], "device allocator")


def _process_peak(call: Callable[[], object]) -> int:
    gc.collect()
    _return_freed_memory()
    try:
        _CLEAR_REFS.write_text("5")
        baseline = _status_bytes("VmRSS")
    except OSError as error:
        raise MemoryUnmeasurable(f"cannot reset the peak through {_CLEAR_REFS}: {error.strerror}") from error
    kept = call()
    peak = _status_bytes("VmHWM")
    del kept
    return max(0, peak - baseline)


def _return_freed_memory() -> None:
    """Give the C heap's freed pages back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise MemoryUnmeasurable(f"{_STATUS} has no {field}")
