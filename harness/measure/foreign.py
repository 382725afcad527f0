"""Who else computes on the GPU?  NVML knows; where there is no NVML, nobody is named.

Our own run's other workers hold memory on the device too while they are stopped: a process counts where it
has computed lately, or, on a device that does not say, where it is none of our family.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import psutil

RECENT_MICROSECONDS = 1_000_000


def foreign_processes() -> tuple[str, ...]:
    """ "process 4711", …: what else is at work on the first device."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own kinds; whichever it was, there is nobody to be seen
        return ()
    try:
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        family = _family()
        return tuple(f"process {pid}" for pid in sorted(_at_work(pynvml, device)) if pid not in family)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _at_work(pynvml: Any, device: Any) -> set[int]:
    """Who has used the multiprocessors within the last second, or, where that is not told, holds memory."""
    with suppress(pynvml.NVMLError):
        newest = pynvml.nvmlDeviceGetProcessUtilization(device, 0)
        latest = max((sample.timeStamp for sample in newest), default=0)
        return {
            sample.pid
            for sample in newest
            if sample.smUtil > 0 and latest - sample.timeStamp < RECENT_MICROSECONDS
        }
    return {process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(device)}


def _family() -> set[int]:
    """This process, its parent, and all of their children: the workers of one run."""
    family = {os.getpid(), os.getppid()}
    with suppress(psutil.Error):
        family |= {child.pid for child in psutil.Process(os.getppid()).children(recursive=True)}
    return family
