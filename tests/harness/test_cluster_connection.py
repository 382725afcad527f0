"""The way to a cluster: what cannot be reached is one line, and what Slurm is given is what was meant."""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings

import pytest

from harness import cli
from harness.cluster import connection
from harness.cluster.connection import connected
from harness.errors import Interrupted, UserError
from harness.local import Local

dask = pytest.importorskip("dask", reason="a cluster needs the extra `cluster`")
pytest.importorskip("distributed", reason="a cluster needs the extra `cluster`")

FAKE_SBATCH = """#!/bin/sh
cp "$1" "{folder}/script-$$"
echo "Submitted batch job $$"
"""
SLURM = {
    "cores": 4,
    "memory": "8GB",
    "queue": "measuring",
    "walltime": "00:30:00",
    "scheduler-options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"},
}


def configured(more):
    """Dask's configuration for Slurm, with these changes, while the context lasts."""
    return dask.config.set({f"jobqueue.slurm.{name}": value for name, value in {**SLURM, **more}.items()})


def line_of(scheduler, workers=None):
    """The line that ends the attempt to connect."""
    with pytest.raises(UserError) as raised, connected(scheduler, workers, lambda text: None):
        raise AssertionError("connected")
    line = str(raised.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "scheduler",
    [
        "foo",
        "nowhere://x",
        "tcp://",
        "tcp://foo",
        "127.0.0.1:no",
        "tcp://:8786",
        "tcp://a b:1",
        "[::1]:99999",
    ],
)
def test_what_is_no_address_is_refused_at_once(scheduler, monkeypatch):
    monkeypatch.setattr("distributed.Client", None)
    line = line_of(scheduler)
    assert line.startswith(f"--scheduler {scheduler}: not the address of a scheduler; expected the address")
    assert "host and port" in line


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    line = line_of("tcp://127.0.0.1:9")
    assert line.startswith("--scheduler tcp://127.0.0.1:9: cannot connect within 1 s")
    assert "start one" in line
    assert "CancelledError" not in line


def test_tls_without_a_certificate():
    line = line_of("tls://127.0.0.1:9")
    assert "no certificate for TLS is configured here" in line
    assert "distributed.comm.tls" in line


@pytest.mark.parametrize(
    ("scheduler", "workers", "expected"),
    [
        ("tcp://127.0.0.1:9", "3", "--workers is for --scheduler slurm"),
        ("slurm", "0", "--workers '0'; expected a number of jobs"),
        ("slurm", "8-", "--workers '8-'"),
    ],
)
def test_a_number_of_workers_that_makes_no_sense(scheduler, workers, expected):
    assert expected in line_of(scheduler, workers)


def test_slurm_without_dask_jobqueue(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    line = line_of("slurm", "2")
    assert line.startswith("--scheduler slurm needs dask-jobqueue, which is not installed; ")
    assert ".[cluster]" in line


@pytest.mark.parametrize("absent", ["cores", "memory"])
def test_slurm_that_is_not_configured(absent):
    pytest.importorskip("dask_jobqueue")
    with configured({absent: None}):
        line = line_of("slurm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the cluster that dask-jobqueue half made
        gc.collect()
    assert absent in line
    assert line.endswith(
        "set jobqueue.slurm (cores, memory, queue, walltime) in ~/.config/dask/jobqueue.yaml"
    )


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A folder where the scripts come that Slurm would be given."""
    for name, text in (("sbatch", FAKE_SBATCH.format(folder=tmp_path)), ("scancel", "#!/bin/sh\n")):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submitted(folder, jobs):
    """The scripts of so many jobs, by line."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [path.read_text().splitlines() for path in folder.glob("script-*")]
        if len(found) >= jobs and all(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} of {jobs} jobs were submitted")


def test_each_job_is_one_worker_that_has_its_node(sbatch):
    pytest.importorskip("dask_jobqueue")
    said = []
    with configured({}), connected("slurm", "2", said.append) as client:
        scripts = submitted(sbatch, 2)
        address = client.cluster.scheduler_address
    assert len(scripts) == 2
    assert said == [f"scheduler at {address}; Slurm was asked for 2 workers"]
    for lines in scripts:
        assert {"#SBATCH -p measuring", "#SBATCH -t 00:30:00", "#SBATCH --cpus-per-task=4"} <= set(lines)
        assert lines.count("#SBATCH --exclusive") == 1
        (command,) = [line for line in lines if "dask_worker" in line]
        assert address in command
        assert command.endswith("--resources rnn_harness=1")
        assert "--nworkers" not in command  # one, which is the default
        assert "--nthreads 4" in command


def test_what_is_configured_of_jobs_and_workers_stays(sbatch):
    pytest.importorskip("dask_jobqueue")
    more = {"job-extra-directives": ["--exclusive=user", "--nice"], "worker-extra-args": ["--lifetime", "1h"]}
    with configured(more), connected("slurm", "1", lambda text: None):
        (lines,) = submitted(sbatch, 1)
    assert {"#SBATCH --exclusive=user", "#SBATCH --nice"} <= set(lines)
    assert "#SBATCH --exclusive" not in lines
    assert any(line.endswith("--lifetime 1h --resources rnn_harness=1") for line in lines)


def test_a_run_that_lost_its_cluster_exits_as_an_interrupted_one(tmp_path, monkeypatch, capsys):
    class Lost(Local):
        def run(self, cases, starting):
            raise Interrupted("no worker was left", remedy="resume the run")

    plan = tmp_path / "one.toml"
    plan.write_text('name = "one"\n[studies.limits]\nbackend = ["numpy"]\n')
    monkeypatch.setattr("harness.commands.run._executor_for", lambda scheduler, workers: Lost)
    with pytest.raises(SystemExit) as ended:
        cli.run_all(["--plan", str(plan), "--results", str(tmp_path / "results")])
    assert ended.value.code == 130
    said = capsys.readouterr()
    assert said.err == "error: no worker was left; resume the run\n"
    assert "resume with: python run_all.py --resume" in said.out
