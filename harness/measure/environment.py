"""What anyone needs to judge a number: the machine, the libraries, the settings.  An allow-list, no dump."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("numpy", "numba", "llvmlite", "torch", "scipy", "pandas", "rnn-harness")


def environment() -> dict[str, Any]:
    """JSON values by name.  What cannot be had is null."""
    memory = psutil.virtual_memory()
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu_model": _cpu_model(),
        "cpu_flags": _cpu_flags(),
        "logical_cores": psutil.cpu_count(),
        "allowed_cores": len(os.sched_getaffinity(0)),
        "cpu_governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": os.getloadavg()[0],
        "memory_bytes": memory.total,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "packages": {name: _version(name) for name in PACKAGES},
        "gpu": _gpu(),
        "git": _git(),
    }


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _cpu_field(*names: str) -> str | None:
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return None


def _cpu_model() -> str | None:
    return _cpu_field("model name", "Model") or platform.processor() or None


def _cpu_flags() -> list[str]:
    """The vector extensions among the processor's flags."""
    flags = (_cpu_field("flags", "Features") or "").split()
    return sorted(f for f in flags if f.startswith(("avx", "fma", "sse4", "amx", "neon", "asimd", "sve")))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu() -> dict[str, Any] | None:
    """The first NVIDIA device, as its driver describes it; None where there is none."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own kinds; whichever it was, no device can be described
        return None
    try:
        if not pynvml.nvmlDeviceGetCount():
            return None
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        return {
            "name": pynvml.nvmlDeviceGetName(device),
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(device).total,
        }
    finally:
        pynvml.nvmlShutdown()


def _git() -> dict[str, Any] | None:
    """Commit and cleanliness of the checkout that this code runs from."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
