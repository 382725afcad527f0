"""The machine: processor, memory, power, as the kernel tells."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

ROOT = Path("/")
_VECTOR_FLAGS = ("avx", "fma", "sse4", "amx", "neon", "asimd", "sve")


def facts() -> dict[str, Any]:
    """The fields of `Environment` that speak of the machine itself."""
    memory, cpuinfo = psutil.virtual_memory(), text("proc/cpuinfo") or ""
    frequency = _frequency()
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "hypervisor": _hypervisor(cpuinfo),
        "container": any((ROOT / name).exists() for name in (".dockerenv", "run/.containerenv")),
        "cpu_model": _field(cpuinfo, "model name", "Model") or platform.processor() or None,
        "cpu_flags": _vector_flags(cpuinfo),
        "sockets": len(set(_fields(cpuinfo, "physical id"))) or None,
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "allowed_cores": allowed_cores(),
        "cpu_governor": text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_turbo": _turbo(),
        "cpu_mhz": frequency[0],
        "cpu_max_mhz": frequency[1],
        "clock_source": text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "load_average": os.getloadavg()[0],
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "swap_used_bytes": _swap_used(),
        "on_battery": _on_battery(),
    }


def allowed_cores() -> int:
    """Hardware threads that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def text(path: str) -> str | None:
    """The content of a small file below the root; None where there is none, or it is empty."""
    try:
        return (ROOT / path).read_text(errors="replace").strip() or None
    except OSError:
        return None


def _fields(cpuinfo: str, *names: str) -> list[str]:
    pairs = (line.partition(":") for line in cpuinfo.splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() in names]


def _field(cpuinfo: str, *names: str) -> str | None:
    return next(iter(_fields(cpuinfo, *names)), None)


def _vector_flags(cpuinfo: str) -> list[str]:
    flags = (_field(cpuinfo, "flags", "Features") or "").split()
    return sorted(flag for flag in flags if flag.startswith(_VECTOR_FLAGS))


def _hypervisor(cpuinfo: str) -> bool | None:
    flags = _field(cpuinfo, "flags")
    return None if flags is None else "hypervisor" in flags.split()


def _turbo() -> bool | None:
    """intel_pstate has a switch that forbids, acpi-cpufreq one that allows."""
    forbidden = text("sys/devices/system/cpu/intel_pstate/no_turbo")
    if forbidden is not None:
        return forbidden == "0"
    allowed = text("sys/devices/system/cpu/cpufreq/boost")
    return None if allowed is None else allowed == "1"


def _frequency() -> tuple[float | None, float | None]:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError, AttributeError):  # psutil has the function on some systems only
        return None, None
    return (None, None) if found is None else (found.current or None, found.max or None)


def _swap_used() -> int:
    try:
        return psutil.swap_memory().used
    except OSError:
        return 0


def _on_battery() -> bool | None:
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except OSError:
        return None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged
