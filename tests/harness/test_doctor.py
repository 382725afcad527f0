"""The doctor: each trouble is seen and has its remedy, a healthy machine is left in peace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.doctor import check, examine, shown, warnings
from harness.doctor.check import CHECKS, Check, Finding, Scene
from harness.doctor.checks import processor, record
from harness.measure.environment import read
from harness.measure.environment.model import Gpu
from tests.harness.command import ROOT

WELL = read().model_copy(
    update={
        "hypervisor": False,
        "logical_cores": 8,
        "allowed_cores": 8,
        "cgroup_cores": None,
        "cpu_governor": "performance",
        "cpu_turbo": False,
        "clock_source": "tsc",
        "memory_available_bytes": 2**34,
        "cgroup_memory_bytes": None,
        "swap_used_bytes": 0,
        "on_battery": False,
        "variables": {},
        "gpus": [],
    }
)
GPU = Gpu(
    name="G", driver="1", cuda="13.0", memory_bytes=2**34, used_bytes=2**33, busy_percent=60, processes=2
)


def finding(name: str, environment=WELL, results: Path = Path("/tmp")) -> Finding:
    return CHECKS[name].look(name, Scene(environment, results))


@pytest.mark.parametrize(
    ("name", "changes", "level", "words"),
    [
        ("cores", {"cgroup_cores": 1.5}, "problem", ["1.5 cores", "num_threads = 1"]),
        ("cores", {"allowed_cores": 1}, "warning", ["1 of 8"]),
        ("governor", {"cpu_governor": "powersave"}, "warning", ["powersave", "cpupower"]),
        ("turbo", {"cpu_turbo": True}, "warning", ["no_turbo"]),
        ("virtual machine", {"hypervisor": True}, "warning", ["replicates"]),
        ("power", {"on_battery": True}, "warning", ["mains"]),
        ("clock", {"clock_source": "hpet"}, "warning", ["hpet", "tsc"]),
        ("memory", {"memory_available_bytes": 2**30}, "warning", ["1.0 GiB"]),
        ("memory", {"cgroup_memory_bytes": 2**29}, "warning", ["0.5 GiB"]),
        ("swap", {"swap_used_bytes": 2**30}, "warning", ["1024 MiB", "swapoff"]),
        ("thread variables", {"variables": {"OMP_PROC_BIND": "close"}}, "warning", ["unset OMP_PROC_BIND"]),
        ("thread variables", {"variables": {"OMP_WAIT_POLICY": "PASSIVE"}}, "warning", ["torch"]),
        (
            "thread variables",
            {"variables": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "8"}},
            "warning",
            ["OMP_NUM_THREADS=2", "MKL_NUM_THREADS=8", "unset OMP_NUM_THREADS MKL_NUM_THREADS"],
        ),
        ("compilation", {"variables": {"NUMBA_DISABLE_JIT": "1"}}, "problem", ["unset NUMBA_DISABLE_JIT"]),
        ("tf32", {"variables": {"NVIDIA_TF32_OVERRIDE": "1"}}, "problem", ["unset NVIDIA_TF32_OVERRIDE"]),
        ("gpu", {"gpus": [GPU]}, "warning", ["60 % busy", "2 processes", "8.0 GiB", "nvidia-smi"]),
    ],
)
def test_a_trouble_is_seen_and_has_its_remedy(name, changes, level, words):
    assert finding(name).level == "ok"
    found = finding(name, WELL.model_copy(update=changes))
    assert found.level == level
    assert found.remedy
    for word in words:
        assert word in f"{found.text} {found.remedy}"


@pytest.mark.parametrize(("busy", "level"), [(5.0, "ok"), (30.0, "warning"), (90.0, "problem")])
def test_the_load_of_others_is_measured_not_our_own(monkeypatch, busy, level):
    monkeypatch.setattr(processor.psutil, "cpu_percent", lambda interval: busy)
    monkeypatch.setattr(processor.psutil, "cpu_count", lambda: 8)
    assert finding("load").level == level


def test_what_we_use_ourselves_is_not_held_against_others(monkeypatch):
    spent = iter([0.0, 8.0])
    own = SimpleNamespace(cpu_times=lambda: SimpleNamespace(user=next(spent), system=0.0))
    clock = iter([0.0, 1.0])
    monkeypatch.setattr(
        processor,
        "psutil",
        SimpleNamespace(Process=lambda: own, cpu_percent=lambda interval: 100.0, cpu_count=lambda: 8),
    )
    monkeypatch.setattr(processor, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert finding("load").level == "ok"


def test_niceness_is_seen(monkeypatch):
    monkeypatch.setattr(processor.psutil, "Process", lambda: SimpleNamespace(nice=lambda: 10))
    assert finding("priority").level == "warning"
    monkeypatch.setattr(processor.psutil, "Process", lambda: SimpleNamespace(nice=lambda: 0))
    assert finding("priority").level == "ok"


@pytest.mark.parametrize(("free", "level"), [(10 * 2**30, "ok"), (2**29, "warning"), (2**20, "problem")])
def test_a_disk_that_is_nearly_full(monkeypatch, tmp_path, free, level):
    monkeypatch.setattr(record.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    assert finding("results folder", results=tmp_path / "not" / "yet").level == level


def test_results_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert finding("results folder", results=tmp_path / "file" / "results").level == "problem"


@pytest.mark.parametrize(("kind", "level"), [("ext4", "ok"), ("nfs4", "problem"), ("cifs", "problem")])
def test_a_network_folder_is_no_place_for_a_ledger(monkeypatch, tmp_path, kind, level):
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(tmp_path), fstype=kind),
    ]
    monkeypatch.setattr(record.psutil, "disk_partitions", lambda all: mounts)
    assert finding("file system", results=tmp_path / "results").level == level


def test_a_refused_reset_of_the_peak_is_a_warning(monkeypatch):
    from harness.doctor.checks import memory

    monkeypatch.setattr(memory, "can_reset_peak", lambda: False)
    assert finding("peak memory").level == "warning"


def test_a_check_that_breaks_is_a_finding_and_costs_no_other(monkeypatch):
    def broken(scene):
        raise PermissionError("no")

    len(CHECKS)  # discovers the others before one is added
    monkeypatch.setitem(CHECKS._items, "broken", Check(broken, slow=False))
    found = {f.check: f for f in examine(WELL, Path("/tmp"), thorough=False)}
    assert found["broken"].level == "warning"
    assert "PermissionError: no" in found["broken"].text
    assert len(found) > 10


def test_at_the_start_of_a_run_nothing_slow_is_asked(monkeypatch):
    def refuse(scene):
        raise AssertionError("loads every backend")

    for name, entry in CHECKS.items():
        if entry.slow:
            monkeypatch.setitem(CHECKS._items, name, Check(refuse, slow=True))
    found = warnings(WELL, Path("/tmp"))
    assert all(f.level != "ok" for f in found)
    assert not [f for f in found if "AssertionError" in f.text]


def test_findings_are_shown_with_their_remedies():
    findings = [Finding("a", "ok", "fine"), Finding("bb", "problem", "bad", "mend it")]
    lines = shown.as_lines(findings)
    assert lines[0].split() == ["ok", "a", "fine"]
    assert "→ mend it" in lines[2]
    assert lines[-1] == "1 ok, 1 problem"
    assert json.loads(shown.as_json(findings))[1]["remedy"] == "mend it"


def test_the_command_ends_with_1_where_something_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "harness", "doctor", "--json", "--results", str(tmp_path / "file" / "x")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stderr
    found = {f["check"]: f for f in json.loads(done.stdout)}
    assert found["results folder"]["level"] == "problem"
    assert "numpy" not in found["backends"]["text"]
    assert set(check.LEVELS) >= {f["level"] for f in found.values()}
