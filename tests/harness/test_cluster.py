"""The same cases on two workers: each ends once, wherever it ran, whoever dies, and nobody is left behind."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from harness.case import Case
from harness.errors import Interrupted, UserError
from harness.folder import create_run
from harness.ledger import Ledger
from harness.outcome import Measured
from harness.plan import checked
from harness.run import execute
from tests.harness.command import ROOT, run_all, write_plan

pytest.importorskip("distributed", reason="a cluster needs the extra `cluster`")

from harness.cluster import on_cluster
from tests.harness.clusters import local_cluster

THROUGHPUT = {
    "backend": ["numpy", "naive"],
    "cell": ["rnn_tanh"],
    "pass": ["inference"],
    "seq_len": [2],
    "batch_size": [1],
    "hidden_size": [4],
}
FATAL = 120  # the faulty backend's word for it
TIMED = 2 * 2  # replicates, backends
GRADIENTS = {
    "cell": ["rnn_tanh"],
    "initialization": ["orthogonal"],
    "inputs": ["noise"],
    "seq_len": [5],
    "hidden_size": [4],
    "batch_size": 1,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with local_cluster(tmp_path_factory.mktemp("cluster")) as up:
        yield up


def new_run(folder, seeds, *, timed=True):
    """A run's folder: four timed cases, and one gradient for each seed."""
    settings = {"name": "spread", "budget_seconds": 0.02, "replicates": 2, "num_threads": 1}
    studies = {"gradient_decay": {**GRADIENTS, "seed": list(range(seeds))}}
    if timed:
        studies["throughput"] = THROUGHPUT
    return create_run(folder, checked({**settings, "studies": studies}, "test"), {}, "")


class Watch:
    """An observer that does something when so many cases have ended."""

    def __init__(self, when=-1, do=lambda: None):
        self.in_flight, self.most, self.ended = 0, 0, 0
        self.when, self.do = when, do

    def begin(self, total, done):
        pass

    def wait(self, line):
        pass

    def start(self, case):
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)

    def finish(self, case, outcome):
        self.in_flight -= 1
        self.ended += 1
        if self.ended == self.when:
            self.do()


def on(cluster, said=None):
    return on_cluster(cluster.address, None, (lambda text: None) if said is None else said.append)


def outcomes(folder):
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        return {entry.case.key: (entry.case, entry.outcome) for entry in ledger.entries()}


def all_measured(folder, expected):
    found = outcomes(folder)
    assert len(found) == expected
    assert all(isinstance(outcome, Measured) for _, outcome in found.values()), found
    return found


def all_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


def test_a_cluster_gives_what_this_machine_gives(cluster, tmp_path):
    far, near = new_run(tmp_path / "far", 4), new_run(tmp_path / "near", 4)
    seen = []
    watch = Watch(TIMED, lambda: seen.extend(cluster.measuring()))
    assert execute(far, watch, on(cluster)).counts == {"measured": TIMED + 4}
    assert execute(near, Watch()).counts == {"measured": TIMED + 4}
    there, here = all_measured(far, TIMED + 4), all_measured(near, TIMED + 4)
    assert list(there) == list(here)
    for key, (case, outcome) in there.items():
        assert outcome.facts["machine"] == here[key][1].facts["machine"]
        if case.study == "gradient_decay":
            assert outcome == here[key][1]
    # both replicates of both backends, and no process for each case: there are at most two workers' last ones
    assert 0 < len(seen) <= 2 * 2
    assert not cluster.measuring()


def test_an_interrupted_run_leaves_nobody_at_work_and_resumes(cluster, tmp_path):
    folder, watch = new_run(tmp_path, 60, timed=False), Watch()
    seen = []

    def interrupt():
        seen.extend(cluster.measuring())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(folder, Watch(30, interrupt), on(cluster))
    assert seen
    all_gone(seen)
    before = {key: found for key, found in outcomes(folder).items() if found[1] is not None}
    assert len(before) == 30
    execute(folder, watch, on(cluster))
    after = all_measured(folder, 60)
    assert {key: after[key] for key in before} == before
    assert watch.most <= 3 * 2  # tasks in flight: bounded by the workers, not by the plan


def test_a_killed_worker_loses_nothing(tmp_path):
    folder = new_run(tmp_path / "results", 60, timed=False)
    with local_cluster(tmp_path / "cluster") as cluster:
        seen = []

        def kill():
            seen.extend(psutil.Process(cluster.workers[0].pid).children(recursive=True))
            cluster.kill_worker(0)

        execute(folder, Watch(30, kill), on(cluster))
        all_gone(seen)
    all_measured(folder, 60)


def test_a_case_that_kills_its_worker_again_and_again_fails_and_its_neighbours_do_not(tmp_path, monkeypatch):
    """It takes the Dask worker above it along; the scheduler gives it up at the first death."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    folder = tmp_path / "run"
    folder.mkdir()
    axes = {"cell": "rnn_tanh", "dtype": "float64", "batch_size": 1, "input_size": 2, "hidden_size": 4}
    axes |= {"initialization": "pytorch_uniform", "seed": 0}
    cases = [Case("parity", {**axes, "backend": "faulty", "seq_len": t}) for t in (2, 3, FATAL, 4, 5, 6)]
    plan = checked({"name": "fatal", "studies": {"throughput": THROUGHPUT}}, "test")
    facts = {"plan": plan.model_dump(), "environment": {}}
    Ledger.create(folder / "ledger.sqlite", facts, cases).close()
    with local_cluster(tmp_path / "cluster", workers=3) as cluster:
        execute(folder, Watch(), on(cluster))
        dead = [worker for worker in cluster.workers if worker.poll() is not None]
    assert len(dead) == 2  # once beside others, once alone
    ends = {case.axes["seq_len"]: outcome for case, outcome in outcomes(folder).values()}
    assert ends.pop(FATAL).reason == "its worker died, 1 times, with nothing beside it"
    assert all(isinstance(outcome, Measured) for outcome in ends.values()), ends


def test_a_run_that_loses_all_others_ends_with_a_line_and_resumes(tmp_path, monkeypatch):
    """First the only worker, then, resumed with another, the scheduler."""
    monkeypatch.setattr("harness.cluster.executor.LOST_SECONDS", 1.0)
    folder, said = new_run(tmp_path / "results", 60, timed=False), []
    with local_cluster(tmp_path / "cluster", workers=1) as cluster:
        with pytest.raises(Interrupted, match=r"no worker was left, and none came within 1 s.*resume"):
            execute(folder, Watch(10, lambda: cluster.kill_worker(0)), on(cluster, said))
        assert any("no worker is left; waiting 1 s" in line for line in said)
        ended = sum(outcome is not None for _, outcome in outcomes(folder).values())
        assert 10 <= ended < 60
        cluster.start_worker()
        with pytest.raises(Interrupted, match="the scheduler was lost"):
            execute(folder, Watch(10, cluster.scheduler.kill), on(cluster))
    found = [outcome for _, outcome in outcomes(folder).values() if outcome is not None]
    assert len(found) >= ended + 10
    assert all(isinstance(outcome, Measured) for outcome in found)


def test_a_killed_test_leaves_no_cluster(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from tests.harness.clusters import LocalCluster\n"
        "cluster = LocalCluster(Path(sys.argv[1])); cluster.start_scheduler()\n"
        "print(cluster.scheduler.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        scheduler = psutil.Process(int(process.stdout.readline()))
        process.kill()
    all_gone([scheduler])


def test_a_worker_with_other_software_is_refused(cluster, tmp_path, monkeypatch):
    from harness.cluster import messages

    other = messages.software().model_copy(update={"rnn_harness": "0.0.1 elsewhere"})
    monkeypatch.setattr("harness.cluster.members.software", lambda: other)
    with pytest.raises(
        UserError, match=r"worker tcp://127.*another rnn-harness than here.*0\.0\.1 elsewhere"
    ):
        execute(new_run(tmp_path, 1), Watch(), on(cluster))


def test_workers_that_cannot_take_cases_are_refused(tmp_path):
    """One that does not offer itself, then one that lacks the package."""
    with local_cluster(tmp_path / "cluster", workers=0) as cluster:
        cluster.start_worker(resource="")
        with pytest.raises(
            UserError, match=r"none of the 1 workers offers the resource rnn_harness.*--resources"
        ):
            execute(new_run(tmp_path / "results", 1), Watch(), on(cluster))
        cluster.kill_worker(0)
        without = tmp_path / "without"  # stands before an installed package, too
        (without / "harness").mkdir(parents=True)
        missing = "raise ModuleNotFoundError(\"No module named 'harness'\", name='harness')"
        (without / "harness" / "__init__.py").write_text(missing, encoding="utf-8")
        cluster.start_worker(root=without)
        with pytest.raises(UserError, match=r"worker tcp://127.*No module named 'harness'.*install it there"):
            execute(new_run(tmp_path / "again", 1), Watch(), on(cluster))


def test_another_text_on_a_worker_is_refused(cluster, tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("some text " * 1000)
    settings = {"name": "text", "corpus": str(text), "studies": {"throughput": THROUGHPUT}}
    folder = create_run(tmp_path / "results", checked(settings, "test"), {}, "")
    monkeypatch.setattr("harness.cluster.members.identity", lambda path: "text.txt:000000000000")
    with pytest.raises(UserError, match=r"not the same text there; expected text\.txt:000000000000; got"):
        execute(folder, Watch(), on(cluster))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--scheduler", "nowhere://x"), "not the address of a scheduler"),
        (("--workers", "3"), "--workers is for --scheduler slurm"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_written(tmp_path, options, line):
    plan = write_plan(tmp_path / "one.toml", 'name = "one"\n[studies.limits]\nbackend = ["numpy"]\n')
    done = run_all("--plan", plan, "--results", tmp_path / "results", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "results").exists()
