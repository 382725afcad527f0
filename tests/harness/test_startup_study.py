"""Fresh processes: what they observe, that their results are held to the reference, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.measure import starts as measure_starts
from harness.measure.agreement import Disagreement
from harness.measure.problem import Problem
from harness.measure.starts import NoFirstResult, start_fresh, write_problem
from harness.measure.work import Sizes
from harness.outcome import Failed, Measured
from harness.plan import checked
from harness.studies import startup
from harness.studies.startup import caches
from harness.worker import with_compilation
from implementations.contract import Compilation
from tests.harness.studying import measured

AXES = {"cell": ["lstm"], "pass": ["training"], "seq_len": [3], "batch_size": [2], "hidden_size": [4]}


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "problem.npz"
    write_problem(Problem.draw("lstm", "float64", Sizes(3, 2, 4, 5)), path)
    return path


def started(problem: Path, backend: str = "numpy", limit_seconds: float = 60.0):
    return start_fresh(
        backend,
        problem,
        dtype="float64",
        training=True,
        num_threads=1,
        environment={},
        limit_seconds=limit_seconds,
    )


def test_each_process_is_a_row_and_its_stages_follow_each_other():
    before = time.perf_counter()
    found = measured("startup", backend=["numpy"], **AXES, starts=2)
    elapsed = time.perf_counter() - before
    assert found.columns["cache"] == ["none", "none"]
    assert found.columns["compile_seconds"] == [None, None]
    stages = [name for name in measure_starts.Start.__dataclass_fields__ if name.endswith("_seconds")]
    stages.remove("compile_seconds")
    assert all(value > 0 for name in stages for value in found.columns[name])
    assert sum(sum(found.columns[name]) for name in stages) < elapsed
    assert 0 < found.facts["relative_error"] < 1e-5


def test_the_first_start_compiles_and_the_next_finds_its_code():
    pytest.importorskip("numba")
    from implementations.registry import load_backend

    case = {**AXES, "cell": ["rnn_linear"], "pass": ["inference"]}
    study = startup.STUDIES["startup"]
    (point,) = study.points(study.Axes.model_validate({"backend": ["numba"], **case, "starts": 1}))
    context = startup.Context(load_backend("numba"), 1, None, 0.1, 60.0)
    found = study.measure(startup.Case("startup", point), context)
    assert found.columns["cache"] == ["cold", "warm"]
    assert found.columns["pieces_compiled"] == [1, 0]
    assert found.columns["pieces_loaded"] == [0, 1]
    assert found.facts["code_folder"] == "NUMBA_CACHE_DIR"
    cold, warm = found.columns["compile_seconds"]
    first = found.columns["first_call_seconds"]
    assert 0 < warm < first[1]
    assert 0 < cold < first[0]


def test_a_wrong_first_result_has_no_time(monkeypatch):
    def wrong(*arguments, **options):
        start, results = start_fresh(*arguments, **options)
        return start, results | {"grad_inputs": results["grad_inputs"] + 1e-3}

    monkeypatch.setattr(startup, "start_fresh", wrong)
    with pytest.raises(Disagreement, match="grad_inputs"):
        measured("startup", backend=["numpy"], **AXES, starts=1)


def test_results_are_those_of_the_problem(problem):
    _, results = started(problem)
    reference = Problem.draw("lstm", "float64", Sizes(3, 2, 4, 5)).reference(training=True)
    assert set(results) == set(reference)
    for name, array in reference.items():
        np.testing.assert_allclose(results[name], array)


def test_a_process_that_fails_says_how(problem):
    with pytest.raises(NoFirstResult, match=r"status 1\): .*unknown backend 'numpi'") as caught:
        started(problem, "numpi")
    assert len(str(caught.value)) < 3000


def test_a_process_that_hangs_is_killed(problem, tmp_path):
    os.mkfifo(tmp_path / "never")
    before = time.monotonic()
    with pytest.raises(NoFirstResult, match="no result within 1 s"):
        started(tmp_path / "never", limit_seconds=1.0)
    assert time.monotonic() - before < 60


@pytest.mark.parametrize("answer", [b"[]\n", b"{}\n", b"no json\n", b'{"import_seconds": "__"}\n'])
def test_an_answer_of_another_kind_is_refused(answer):
    with pytest.raises(NoFirstResult, match="a fresh process answered"):
        measure_starts._parsed(answer)


def test_a_process_ends_with_its_parent(tmp_path):
    os.mkfifo(tmp_path / "never")
    request = {"started": 0.0, "backend": "numpy", "num_threads": 1, "dtype": "float32", "training": False}
    request |= {"problem": str(tmp_path / "never"), "results": str(tmp_path / "results.npz")}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.measure.first_result"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(startup.__file__).parents[2])},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.0)  # it waits for its problem
    process.stdin.close()
    assert process.wait(60.0) == 1


def test_until_the_result_nothing_of_the_harness_is_loaded(problem):
    script = """
import sys
from harness.measure.first_result import first_result
import numpy as np
saved = np.savez
np.savez = lambda *_, **__: None
import harness.measure
real = sys.modules.copy()
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "harness.measure.problem":
            print(sorted(m for m in sys.modules if m.startswith("harness")))
sys.meta_path.insert(0, Spy())
first_result(0.0, "numpy", 1, "float64", True, sys.argv[1], "nowhere")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(problem)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(Path(startup.__file__).parents[2])},
    )
    assert done.stdout.split("\n")[0] == "['harness', 'harness.measure', 'harness.measure.first_result']"


def test_caches():
    assert caches(keeps_code=True, starts=2) == ["cold", "warm", "warm"]
    assert caches(keeps_code=False, starts=2) == ["none", "none"]


def test_replicates_do_not_repeat_what_has_processes_of_its_own():
    studies = {"startup": {"backend": ["numpy"], **AXES}, "throughput": {"backend": ["numpy"], **AXES}}
    plan = checked({"name": "two", "replicates": 2, "studies": studies}, "test")
    assert [case.replicate for case in plan.cases() if case.study == "startup"] == [0]
    assert {case.replicate for case in plan.cases() if case.study == "throughput"} == {0, 1}


def test_a_worker_says_what_was_compiled_for_a_case():
    before, after = Compilation(1.5, 2, 3), Compilation(4.0, 3, 7)
    found = with_compilation(Measured({"seconds": [1.0]}, {"flop": 2}), before, after)
    facts = {"compile_seconds": 2.5, "pieces_compiled": 1, "pieces_loaded": 4}
    assert found == Measured({"seconds": [1.0]}, {"flop": 2, **facts})
    own = Measured({"compile_seconds": [1.0]})
    assert with_compilation(own, before, after).columns == own.columns
    assert with_compilation(Measured({}), None, None) == Measured({})
    assert with_compilation(Failed("so"), before, after) == Failed("so")
