"""What is recorded of a machine: an allow-list with meanings, control groups of both kinds, a known CPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.measure.environment import cgroup, gpu, machine, read, software
from harness.measure.environment.model import Blas, Environment, Git, Gpu


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_this_machine_is_described():
    found = read()
    assert found.packages["numpy"] == np.__version__
    assert found.allowed_cores >= 1
    assert found.memory_bytes > 2**28
    assert any(library.library == "openblas" for library in found.blas) or found.blas


@pytest.mark.parametrize("model", [Environment, Blas, Gpu, Git])
def test_every_field_says_what_it_means(model):
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no description"


def test_nothing_that_is_not_on_the_list_is_recorded(monkeypatch):
    monkeypatch.setenv("RNN_HARNESS_SECRET", "hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    recorded = read().model_dump(mode="json")
    assert set(recorded) == set(Environment.model_fields)
    assert recorded["variables"]["OMP_NUM_THREADS"] == "3"
    assert set(recorded["variables"]) <= set(software.VARIABLES)
    assert "hunter2" not in str(recorded)


V2 = {"proc/self/cgroup": "0::/box/inner\n"}
V1 = {"proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({}, None, None),
        ({**V2, "sys/fs/cgroup/cpu.max": "max 100000"}, None, None),
        ({**V2, "sys/fs/cgroup/box/inner/cpu.max": "150000 100000"}, 1.5, None),
        (  # a limit higher up holds for all beneath it
            {
                **V2,
                "sys/fs/cgroup/box/inner/cpu.max": "400000 100000",
                "sys/fs/cgroup/box/cpu.max": "200000 100000",
                "sys/fs/cgroup/box/memory.max": "1073741824",
                "sys/fs/cgroup/box/inner/memory.max": "max",
            },
            2.0,
            2**30,
        ),
        (  # in a container what is mounted is its own group, whatever path the kernel names
            {**V2, "sys/fs/cgroup/cpu.max": "50000 100000", "sys/fs/cgroup/memory.max": "2048"},
            0.5,
            2048,
        ),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "4096",
            },
            3.0,
            4096,
        ),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            None,
            None,
        ),
        ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "nonsense"}, None, None),
    ],
)
def test_control_groups_of_both_versions(tmp_path, monkeypatch, files, cores, memory):
    write(tmp_path, files)
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    assert cgroup.cores() == cores
    assert cgroup.memory_bytes() == memory


CPU = "sys/devices/system/cpu"
CPUINFO = "model name\t: Example 9\nphysical id\t: {0}\nflags\t\t: fpu avx2 fma hypervisor\n\n"


def test_the_processor_is_read_from_the_kernel(tmp_path, monkeypatch):
    files = {
        "proc/cpuinfo": CPUINFO.format(0) + CPUINFO.format(1),
        f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
        ".dockerenv": "",
    }
    write(tmp_path, files)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    found = machine.facts()
    expected = {
        "cpu_model": "Example 9",
        "cpu_flags": ["avx2", "fma"],
        "sockets": 2,
        "hypervisor": True,
        "container": True,
        "cpu_governor": "powersave",
        "cpu_turbo": True,
        "clock_source": None,
    }
    assert {name: found[name] for name in expected} == expected


def test_a_gpu_is_described_by_its_driver(monkeypatch):
    import pynvml

    def silent(device):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda i: i,
        "nvmlDeviceGetName": lambda device: "Example GPU",
        "nvmlSystemGetDriverVersion": lambda: "600.1",
        "nvmlSystemGetCudaDriverVersion": lambda: 13020,
        "nvmlDeviceGetMemoryInfo": lambda device: SimpleNamespace(total=100, used=7),
        "nvmlDeviceGetUtilizationRates": silent,
        "nvmlDeviceGetComputeRunningProcesses": lambda device: [1, 2],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    assert [g.model_dump() for g in gpu.gpus()] == [
        {
            "name": "Example GPU",
            "driver": "600.1",
            "cuda": "13.2",
            "memory_bytes": 100,
            "used_bytes": 7,
            "busy_percent": None,
            "processes": 2,
        }
    ]
