"""What the NVIDIA driver counts for this process: torch's pool, the context, the libraries, everything."""

from __future__ import annotations

import os
from contextlib import suppress


def process_memory_bytes(device_uuid: str) -> int | None:
    """Memory of this process on a device; None where the driver does not say (in a container, often).

    Args:
        device_uuid: as torch's device properties have it, without the driver's prefix "GPU-".
    """
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own kinds; whichever it was, the driver says nothing
        return None
    try:
        device = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{device_uuid}".encode())
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
    except pynvml.NVMLError:
        return None
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    used = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
    return None if not used or None in used else int(sum(used))
