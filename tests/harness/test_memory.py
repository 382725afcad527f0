"""Memory: known amounts come out by either way of measuring; time and memory are never taken together."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.case import Case
from harness.measure import memory, timing
from harness.measure.memory import BALLAST, DEVICE, RESET, MemoryUnmeasurable, peak_of
from harness.outcome import Measured
from harness.studies.study import STUDIES, Context
from implementations.registry import load_backend
from tests.harness.command import ROOT

MIB = 2**20
SIZES = (10, 64, 256)
ON_CPU = SimpleNamespace(device_memory=lambda: None)

resettable = pytest.mark.skipif(not memory.can_reset_peak(), reason="clear_refs is refused here")


def near(measured: int, mib: int) -> bool:
    """Within 2 % or 1 MiB, whichever is more."""
    return abs(measured - mib * MIB) <= max(0.02 * mib * MIB, MIB)


@pytest.mark.parametrize("mib", SIZES)
@resettable
def test_a_known_allocation_is_measured(mib):
    peak = peak_of(lambda: np.ones(mib * MIB, np.uint8), ON_CPU)
    assert near(peak.peak_bytes, mib)
    assert peak.method == RESET


def test_memory_freed_before_does_not_hide_what_a_call_takes():
    kept = [np.ones(MIB // 8, np.uint8) for _ in range(400)]
    del kept
    peak = peak_of(lambda: [np.ones(MIB // 8, np.uint8) for _ in range(400)], ON_CPU)
    assert abs(peak.peak_bytes - 50 * MIB) <= 2 * MIB


FRESH = """
import sys, numpy as np
from pathlib import Path
from types import SimpleNamespace
from harness.measure import memory
memory._CLEAR_REFS = Path("/proc/self/no_such_file")
mib = int(sys.argv[1])
held = np.ones(mib * 2**20 // 2 + 150 * 2**20, np.uint8)  # raises the mark
del held
peak = memory.peak_of(lambda: np.ones(mib * 2**20, np.uint8), SimpleNamespace(device_memory=lambda: None))
print(peak.peak_bytes, peak.method, sep="|")
"""


def in_a_fresh_process(mib: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(mib)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    size, method = done.stdout.strip().split("|")
    return int(size), method


@pytest.mark.parametrize("mib", SIZES)
def test_a_known_allocation_is_measured_where_the_peak_cannot_be_reset(mib):
    measured, method = in_a_fresh_process(mib)
    assert near(measured, mib)
    assert method == BALLAST


def test_without_room_for_the_ballast_there_is_a_reason_and_no_number(monkeypatch):
    monkeypatch.setattr(memory, "_CLEAR_REFS", Path("/proc/self/no_such_file"))
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    monkeypatch.setattr(memory, "_status_bytes", {"VmHWM": 2**31, "VmRSS": 2**30}.__getitem__)
    with pytest.raises(MemoryUnmeasurable, match=r"1\.0 GiB; 0\.0 GiB of memory are free"):
        peak_of(lambda: None, ON_CPU)


class Device:
    """A device with memory of its own, and an allocator that holds a pool."""

    def __init__(self, process_bytes: int | None) -> None:
        self.waited = False
        self._process_bytes = process_bytes

    @contextmanager
    def device_memory(self):
        found: dict[str, int] = {}
        yield found
        assert self.waited, "peaks were read before the device was done"
        found |= {"allocated_bytes": 5 * MIB, "reserved_bytes": 8 * MIB}
        if self._process_bytes is not None:
            found["process_bytes"] = self._process_bytes

    def synchronize(self) -> None:
        self.waited = True


@pytest.mark.parametrize("process_bytes", [300 * MIB, None])
def test_a_device_reports_what_is_allocated_reserved_and_counted_for_the_process(process_bytes):
    peak = peak_of(lambda: None, Device(process_bytes))
    assert (peak.peak_bytes, peak.reserved_bytes, peak.process_bytes) == (5 * MIB, 8 * MIB, process_bytes)
    assert peak.method == DEVICE


class Statistics:
    """torch.cuda's counters: 4 MiB in use on entry; a pass raises them by 6 MiB, its pool by 20."""

    def __init__(self) -> None:
        self.cached = True

    def memory_allocated(self) -> int:
        return 4 * MIB

    def memory_reserved(self) -> int:
        return (100 if self.cached else 10) * MIB

    def max_memory_allocated(self) -> int:
        return 10 * MIB

    def max_memory_reserved(self) -> int:
        return 30 * MIB

    def empty_cache(self) -> None:
        self.cached = False


@pytest.mark.parametrize(("pids", "counted"), [((os.getpid(), 1), 512 * MIB), ((1, 2), None)])
def test_the_cuda_counters_are_read_as_peaks_above_what_was_there(monkeypatch, pids, counted):
    import pynvml
    import torch

    from implementations.backends.torch_native.cudnn import CudnnBackend

    fake = Statistics()
    for name in ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", fake.empty_cache)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="1-2"))
    for name in ("nvmlInit", "nvmlShutdown"):
        monkeypatch.setattr(pynvml, name, lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    listed = [SimpleNamespace(pid=pid, usedGpuMemory=512 * MIB) for pid in pids]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", {b"GPU-1-2": listed}.__getitem__)
    with CudnnBackend().device_memory() as found:
        pass
    assert found.pop("process_bytes", None) == counted
    assert found == {"allocated_bytes": 6 * MIB, "reserved_bytes": 20 * MIB}


AXES = {
    "backend": "numpy",
    "cell": "gru",
    "dtype": "float64",
    "seq_len": 3,
    "batch_size": 2,
    "input_size": 4,
    "hidden_size": 4,
    "pass": "training",
}


def measured(study: str) -> Measured:
    outcome = STUDIES[study].measure(Case(study, AXES), Context(load_backend("numpy"), 1, None, 0.02, 5.0))
    assert isinstance(outcome, Measured)
    return outcome


def refuse(*arguments: object) -> None:
    raise AssertionError("time and memory are measured in passes of their own")


def test_nothing_weighs_memory_while_time_is_taken(monkeypatch):
    monkeypatch.setattr(memory, "_reset_peak", refuse)
    monkeypatch.setattr(memory, "_status_bytes", refuse)
    columns = measured("throughput").columns
    assert "seconds" in columns
    assert not [name for name in columns if name.endswith("_bytes")]


def test_nothing_takes_the_time_while_memory_is_weighed(monkeypatch):
    monkeypatch.setattr(timing, "time_calls", refuse)
    monkeypatch.setattr(timing.time, "perf_counter", refuse)
    columns = measured("memory").columns
    assert "peak_bytes" in columns
    assert not [name for name in columns if name.endswith("seconds")]


def test_where_the_peak_cannot_be_reset_each_case_has_a_fresh_worker(monkeypatch):
    from harness.supervisor import Supervisor

    study = STUDIES["memory"]
    assert study.needs_fresh_process() is not memory.can_reset_peak()
    monkeypatch.setattr(type(study), "needs_fresh_process", lambda self: True)
    supervisor = Supervisor("numpy", 1, None)
    limits = {"budget_seconds": 0.02, "max_seconds": 5.0, "hang_seconds": 60.0}
    pids = set()
    try:
        for replicate in (0, 1):
            outcome = supervisor.run(Case("memory", AXES, replicate), **limits)
            assert isinstance(outcome, Measured), outcome
            pids.add(supervisor._process.pid)
    finally:
        supervisor.close()
    assert len(pids) == 2
