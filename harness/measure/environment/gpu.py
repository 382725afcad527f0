"""NVIDIA devices, through their driver; none of it needs torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from harness.measure.environment.model import Gpu

T = TypeVar("T")


def gpus() -> list[Gpu]:
    """Every device that the driver lists; none where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own kinds; whichever it was, no device can be described
        return []
    try:
        return [
            _gpu(pynvml, pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError:
        return []
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(nvml: Any, device: Any) -> Gpu:
    def ask(question: Callable[[], T]) -> T | None:
        try:
            return question()
        except nvml.NVMLError:  # this driver, or this device, does not tell
            return None

    memory, version = nvml.nvmlDeviceGetMemoryInfo(device), nvml.nvmlSystemGetCudaDriverVersion()
    return Gpu(
        name=nvml.nvmlDeviceGetName(device),
        driver=nvml.nvmlSystemGetDriverVersion(),
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        memory_bytes=memory.total,
        used_bytes=memory.used,
        busy_percent=ask(lambda: int(nvml.nvmlDeviceGetUtilizationRates(device).gpu)),
        processes=ask(lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(device))),
    )
