"""Export and import: other tools read ours, what comes back is the same, nothing hostile gets in."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case import Case
from harness.compare import compare_runs
from harness.compare.hardware import describe
from harness.errors import UserError
from harness.exchange import FORMATS, checked, export_run, import_file
from harness.exchange.facts import known_facts
from harness.outcome import Failed, Measured, Unsupported
from harness.plan_file import load_plan
from harness.report import overview, write_report
from harness.report.frames import Run
from tests.harness.command import ROOT
from tests.harness.test_compare import items
from tests.report.synthetic import FACTS, sizes, write_run

ENVIRONMENT = {**FACTS["environment"], "allowed_cores": 2, "git": {"commit": "abc", "dirty": False}}
TABLES = ("csv", "parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """Times of three processes, memory, an end of every other kind, exact zeros, and a hostile name."""
    axes = sizes("=cmd()", "gru", 16, 1)
    others = [
        (Case("memory", axes | {"pass": "training"}), Measured({"peak_bytes": [3 * 2**20], "none": [None]})),
        (Case("parity", axes), Failed("=went wrong", "log\nof, it\n")),
        (Case("parity", axes | {"backend": "cudnn"}), Unsupported("no CUDA device")),
        (Case("parity", axes | {"backend": "open"}), None),
        (
            Case("gradient_decay", axes | {"forget_bias": 1.0, "threshold": None}),
            Measured(
                {"lag": [0, 1, 2], "log10": [0.0, -1 / 3, -math.inf], "ok": [True, False, True]}, {"n": 3}
            ),
        ),
    ]
    folder = tmp_path_factory.mktemp("runs") / "original"
    listed = [*items({}, seed=3, replicates=3, spread=0.2), *others]
    facts = {"run_id": "original", "environment": ENVIRONMENT, "plan": load_plan("quick").model_dump()}
    return Run.read(write_run(folder, listed, facts))


def again(run: Run, name: str, tmp_path: Path) -> Run:
    file = export_run(run, name, tmp_path / f"file.{name}")
    return Run.read(import_file(file, "again", tmp_path / "results"))


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_round_trip_compares_as_the_same(run, name, tmp_path):
    back = again(run, name, tmp_path)
    found = compare_runs(run, back)
    assert {row.word for row in found.rows} == {"same"}
    assert len([row for row in found.rows if row.metric == "time"]) == 8
    assert {row.change.processes for row in found.rows if row.metric == "time"} == {3}
    assert back.facts["environment"]["cpu_model"] == "Example CPU 9000"
    assert (back.folder / "environment.json").is_file()
    assert (back.folder / "plan.toml").is_file()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_brings_everything_back(run, name, tmp_path):
    back = again(run, name, tmp_path)
    assert [entry.case for entry in back.entries] == [entry.case for entry in run.entries]
    assert [entry.outcome for entry in back.entries] == [entry.outcome for entry in run.entries]
    assert back.facts["plan"] == run.facts["plan"]


def test_a_csv_is_safe_in_a_spreadsheet_and_tidy(run, tmp_path):
    file = export_run(run, "csv", tmp_path / "run.csv")
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    for value in frame.to_numpy().ravel():
        assert not value.startswith(("=", "@", "+"))
    assert {"key", "study", "replicate", "status", "backend", "cell", "seconds", "flop"} <= set(frame.columns)


@pytest.mark.parametrize("name", ["pytest-benchmark", "csv"])
def test_an_imported_run_has_a_report(run, name, tmp_path):
    back = again(run, name, tmp_path)
    page = write_report(back.folder).read_text(encoding="utf-8")
    assert "Example CPU 9000" in page
    assert "Not shown" not in page


def program(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pytest_benchmark_reads_ours(run, tmp_path):
    one = export_run(run, "pytest-benchmark", tmp_path / "0001_one.json")
    two = export_run(run, "pytest-benchmark", tmp_path / "0002_two.json")
    out = program(Path(sys.executable).with_name("pytest-benchmark"), "compare", one, two)
    assert "backend=numba cell=gru" in out
    assert out.count("backend=numba cell=gru") == 4  # two lengths, two files


def test_the_statistics_are_pytest_benchmarks_own(run, tmp_path):
    from pytest_benchmark.stats import Stats

    data = json.loads(export_run(run, "pytest-benchmark", tmp_path / "x.json").read_text())
    for benchmark in data["benchmarks"]:
        theirs, ours = Stats(), benchmark["stats"]
        for value in ours["data"]:
            theirs.update(value)
        for field in ("min", "max", "mean", "stddev", "rounds", "median", "total", "ops"):
            assert ours[field] == pytest.approx(getattr(theirs, field), rel=1e-9), field


def test_pyperf_reads_ours(run, tmp_path):
    pyperf = pytest.importorskip("pyperf")
    file = export_run(run, "pyperf", tmp_path / "x.json")
    suite = pyperf.BenchmarkSuite.load(str(file))
    assert len(suite.get_benchmarks()) == 8
    assert {benchmark.get_nrun() for benchmark in suite} == {3}
    out = program(sys.executable, "-m", "pyperf", "stats", file)
    assert "Number of benchmarks: 8" in out
    assert out.count("Number of run with values: 3") == 8


def test_google_benchmarks_schema(run, tmp_path):
    data = json.loads(export_run(run, "gbench", tmp_path / "x.json").read_text())
    assert {"date", "num_cpus", "mhz_per_cpu", "library_build_type", "caches"} <= set(data["context"])
    for entry in data["benchmarks"]:
        assert entry["run_type"] == "iteration"
        assert entry["real_time"] == entry["cpu_time"] > 0
        assert entry["iterations"] >= 1
        assert entry["time_unit"] == "s"


FOREIGN = {
    "machine_info": {
        "node": "somebodys-host",
        "system": "Linux",
        "release": "6.1",
        "python_version": "3.12.1",
        "cpu": {"brand_raw": "Foreign CPU", "count": 8},
    },
    "commit_info": {"id": "f00", "dirty": True},
    "benchmarks": [
        {
            "name": "test_x[1]",
            "fullname": "tests/x.py::test_x[1]",
            "params": {"n": 1},
            "extra_info": {"process": process, "num_threads": 4},
            "stats": {"data": [0.001 * (1 + process), 0.002], "iterations": 5, "min": 9e9},
        }
        for process in (0, 1)
    ],
    "datetime": "2026-01-01T00:00:00",
    "version": "5.0.0",
}


def write(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "file.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_times_come_from_the_data_processes_and_hardware_from_what_stands_beside(tmp_path):
    back = Run.read(import_file(write(tmp_path, FOREIGN), "theirs", tmp_path / "results"))
    assert [(e.case.replicate, e.outcome.columns["seconds"]) for e in back.entries] == [
        (0, [0.001, 0.002]),
        (1, [0.002, 0.002]),
    ]
    assert back.entries[0].case.axes == {"n": 1, "backend": "imported", "benchmark": "tests/x.py::test_x[1]"}
    assert back.entries[0].outcome.columns["loops"] == [5, 5]
    assert back.entries[0].outcome.facts["num_threads"] == 4
    environment = back.facts["environment"]
    assert (environment["cpu_model"], environment["allowed_cores"]) == ("Foreign CPU", 8)
    assert environment["git"] == {"commit": "f00", "dirty": True}
    assert "somebodys-host" not in json.dumps(dict(back.facts))
    page = write_report(back.folder).read_text(encoding="utf-8")
    assert "Foreign CPU" in page
    assert "Not shown" not in page


def test_processes_may_be_told_sample_by_sample(tmp_path):
    one = {**FOREIGN["benchmarks"][0], "extra_info": {"processes": ["a", "b", "a"]}}
    one["stats"] = {"data": [1.0, 2.0, 3.0]}
    back = Run.read(import_file(write(tmp_path, {**FOREIGN, "benchmarks": [one]}), "x", tmp_path))
    assert [e.outcome.columns["seconds"] for e in back.entries] == [[1.0, 3.0], [2.0]]


def test_pyperfs_and_googles_own_files(tmp_path):
    pyperf = {
        "version": "1.0",
        "metadata": {"cpu_model_name": "P", "cpu_count": 4},
        "benchmarks": [
            {
                "metadata": {"name": "b"},
                "runs": [
                    {"metadata": {"calibrate_loops": 8}, "warmups": [[8, 0.1]]},
                    {"metadata": {"loops": 8}, "warmups": [[8, 0.5]], "values": [0.25, 0.125]},
                    {"metadata": {"loops": 8}, "values": [0.75]},
                ],
            }
        ],
    }
    back = Run.read(import_file(write(tmp_path, pyperf), "p", tmp_path))
    assert [list(e.outcome.columns["seconds"]) for e in back.entries] == [[0.5, 0.25, 0.125], [0.75]]
    assert back.facts["environment"]["cpu_model"] == "P"
    google = {
        "context": {"num_cpus": 3},
        "benchmarks": [
            {"name": "BM_a", "run_type": "iteration", "iterations": 10, "real_time": 5.0, "time_unit": "us"},
            {
                "name": "BM_a_mean",
                "run_type": "aggregate",
                "iterations": 1,
                "real_time": 5.0,
                "time_unit": "us",
            },
            {"name": "BM_b", "run_type": "iteration", "error_occurred": True, "error_message": "no"},
        ],
    }
    back = Run.read(import_file(write(tmp_path, google), "g", tmp_path))
    assert back.entries[0].outcome.columns["seconds"] == [pytest.approx(5e-6)]
    assert back.entries[1].outcome == Failed("no")
    assert len(back.entries) == 2


def changed(**changes) -> dict:
    return {**FOREIGN, **changes}


def stats(data: object) -> dict:
    return changed(benchmarks=[{**FOREIGN["benchmarks"][0], "stats": {"data": data}}])


def noted(**changes: object) -> dict:
    return changed(benchmarks=[{**FOREIGN["benchmarks"][0], **changes}])


def pyperfs(**metadata: object) -> dict:
    runs = [{"values": [1.0]}]
    return {"version": "1.0", "benchmarks": [{"metadata": {"name": "b", **metadata}, "runs": runs}]}


LARGE_CASE = '{"axes":{"n":1%s},"study":"throughput"}' % ("0" * 24)
TABLE = 'key,definition,outcome\nx,"{}",\n'.format(LARGE_CASE.replace('"', '""'))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        (noted(params={"n": 10**24}), "axis 'n' holds a whole number beyond 64 bits"),
        (noted(params={"n": "\ud800"}), "axis 'n' holds text that is no Unicode"),
        (noted(params={"\ud800": 1}), "text that is no Unicode"),
        (noted(extra_info={"backend": "\ud800"}), "axis 'backend' holds text that is no Unicode"),
        (noted(extra_info={"note": "\ud800"}), "fact 'note' holds text that is no Unicode"),
        (noted(extra_info={"note": -(10**24)}), "fact 'note' holds a whole number beyond 64 bits"),
        (pyperfs(backend="\ud800"), "axis 'backend' holds text that is no Unicode"),
        (pyperfs(rnn_harness_case="\ud800"), "file.json: .*surrogates not allowed"),
        (pyperfs(rnn_harness_case=LARGE_CASE), "axis 'n' holds a whole number beyond 64 bits"),
        (TABLE, "row 1: definition: axis 'n' holds a whole number beyond 64 bits"),
        ("hello", "no format that is known"),
        ("[1, 2]", "no format that is known"),
        (json.dumps(FOREIGN)[:-40], "not JSON"),
        ('{"machine_info": ' + "[" * 200_000, "nested too deeply|no format|not JSON"),
        (json.dumps(FOREIGN)[:-1] + ', "x": ' + "[" * 300 + "]" * 300 + "}", "nested too deeply"),
        (json.dumps(stats([1.0])).replace("[1.0]", "[NaN]"), "NaN is no number"),
        (json.dumps(stats([1.0])).replace("[1.0]", "[1e999]"), "stats.data"),
        (json.dumps(stats([1.0])).replace("[1.0]", f"[{'9' * 5000}]"), "not JSON|stats.data"),
        (stats([]), "at least 1 item"),
        (stats([-1.0]), "greater than 0"),
        (stats(["x"]), "valid number"),
        (changed(benchmarks=[]), "at least 1 item"),
        (changed(benchmarks=[{**FOREIGN["benchmarks"][0], "stats": {"min": 1}}]), "--benchmark-save-data"),
        (changed(benchmarks=[7]), "benchmarks.0"),
        ('{"version": "0.1", "benchmarks": [{"runs": [{"values": [1.0]}]}]}', "expected 1.0"),
        ('{"version": "1.0", "benchmarks": [{"runs": [{"values": [1.0]}]}]}', "without a name"),
        ("key,definition,outcome\nx,{},{}\n", "study"),
        ('key,definition,outcome\nx,,""\n', "row 1 defines no case"),
        ("key,definition\nx,y\n", "no column 'outcome'"),
    ],
)
def test_what_is_damaged_or_hostile_is_one_line_and_leaves_nothing(tmp_path, content, words):
    results = tmp_path / "results"
    results.mkdir()
    with pytest.raises(UserError, match=words) as caught:
        import_file(write(tmp_path, content), "x", results)
    assert "\n" not in str(caught.value)
    assert list(results.iterdir()) == []


def test_what_a_file_says_of_its_machine_is_left_out_where_it_cannot_be_written(tmp_path):
    ours = {"cpu_model": "Foreign CPU", "backends": {"numba": {"note": "\ud800"}}}
    file = write(tmp_path, changed(machine_info={"rnn_harness": ours}))
    file = file.rename(tmp_path / "odd\udcff.json")
    back = Run.read(import_file(file, "x", tmp_path / "results"))
    assert back.facts["environment"] == {"cpu_model": "Foreign CPU"}
    assert back.facts["imported_from"] == "odd?.json"


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "latest", "x" * 200, "-x", "a b"])
def test_a_name_cannot_leave_the_results_folder(tmp_path, name):
    with pytest.raises(UserError, match="not the name of a run"):
        import_file(write(tmp_path, FOREIGN), name, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_run_is_never_written_over(tmp_path):
    file = write(tmp_path, FOREIGN)
    folder = import_file(file, "x", tmp_path)
    before = (folder / "ledger.sqlite").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        import_file(file, "x", tmp_path)
    assert (folder / "ledger.sqlite").read_bytes() == before
    assert not list(tmp_path.glob(".x-*"))


def test_an_oversized_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    from harness.exchange import transfer

    monkeypatch.setattr(transfer, "MAXIMUM_BYTES", 100)
    with pytest.raises(UserError, match="too large"):
        import_file(write(tmp_path, FOREIGN), "x", tmp_path)
    assert checked.MAXIMUM_BYTES >= 2**20


def test_a_parquet_bomb_is_refused_by_its_own_words(run, tmp_path, monkeypatch):
    from harness.exchange.formats import parquet

    file = export_run(run, "parquet", tmp_path / "x.parquet")
    monkeypatch.setattr(parquet, "MAXIMUM_CELLS", 10)
    with pytest.raises(UserError, match="too large"):
        import_file(file, "x", tmp_path)
    file.write_bytes(file.read_bytes()[:4] + b"garbage" + file.read_bytes()[-4:])
    with pytest.raises(UserError, match="not Parquet"):
        import_file(file, "x", tmp_path)


def test_without_pyarrow_the_extra_is_named(run, tmp_path, monkeypatch):
    from harness.exchange.formats import parquet

    monkeypatch.setattr(parquet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"rnn-harness\[parquet\]"):
        export_run(run, "parquet", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_file(run, tmp_path, monkeypatch):
    from harness.exchange import transfer

    class Full:
        def __init__(self, handle, mode):
            transfer.os.close(handle)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            return False

        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer.os, "fdopen", Full)
    with pytest.raises(UserError, match="No space left"):
        export_run(run, "gbench", tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_the_commands(run, tmp_path):
    def harness(*arguments: str | Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "harness", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)

    file = tmp_path / "out.json"
    done = harness("export", run.folder, "--format", "pyperf", "--output", file)
    assert done.returncode == 0, done.stderr
    assert "csv and parquet also take memory, parity, gradient_decay" in done.stdout
    done = harness("import", file, "--run", "back", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "back")
    done = harness("export", run.folder, "--format", "pypref", "--output", file)
    assert done.returncode == 2
    assert "did you mean 'pyperf'" in done.stderr


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["pytest-benchmark", "pyperf", "gbench"])
@pytest.mark.parametrize("value", [True, 7, "text", {"a": 1}, [3]])
def test_benchmarks_that_are_no_list_of_them_are_refused(run, name, value):
    content = json.loads(FORMATS[name].write(run))
    content["benchmarks"] = value
    with pytest.raises(UserError, match="file: benchmarks"):
        FORMATS[name].read(json.dumps(content).encode(), "file")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_file_is_taken_or_refused_in_one_line(run, data):
    """Any one place of a good file replaced by anything: cases come out, or a UserError; never another."""
    name = data.draw(st.sampled_from(["pytest-benchmark", "pyperf", "gbench"]))
    content = json.loads(FORMATS[name].write(run))
    place: list | dict = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, list | dict) or not inner or data.draw(st.integers(0, 5)) == 0:
            break
        place = inner
    place[key] = data.draw(anything)
    try:
        found = FORMATS[name].read(json.dumps(content).encode(), "file")
    except UserError:
        return
    for case, outcome in found.items:
        json.dumps([case.to_json(), case.backend])
        assert isinstance(outcome, Measured | Failed)
    facts = known_facts(found.facts)
    json.dumps(facts, allow_nan=False)
    imported = Run(Path("run"), facts, (), {})
    assert overview.what_and_where(imported)
    assert describe(imported).keys() <= {"processor", "cores", "control group's cores", "GPU"}


def test_an_imported_run_cannot_be_resumed_and_says_so(tmp_path):
    from harness.commands.foretell import foretell_rest
    from harness.run import execute

    folder = import_file(write(tmp_path, FOREIGN), "x", tmp_path)
    with pytest.raises(UserError, match="no plan that can be run here"):
        execute(folder, None)
    with pytest.raises(UserError, match="no plan that can be run here"):
        foretell_rest(folder)


@pytest.mark.parametrize("rounds", range(1, 13))
def test_the_statistics_are_those_that_pytest_benchmark_computes(rounds: int) -> None:
    from pytest_benchmark.stats import Stats

    from harness.exchange.formats.pytest_benchmark import _stats

    data = [0.3 * i**1.5 % 2.0 + 0.01 for i in range(1, rounds + 1)]
    own = Stats()
    for value in data:
        own.update(value)
    theirs = own.as_dict()
    ours = _stats(data)
    shared = {name: value for name, value in ours.items() if isinstance(value, float | int)}
    assert set(shared) >= {"min", "max", "mean", "stddev", "median", "iqr", "q1", "q3", "iqr_outliers"}
    assert shared == pytest.approx({name: theirs[name] for name in shared})
