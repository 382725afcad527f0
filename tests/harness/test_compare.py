"""Comparing runs whose truth is known: what became slower is named, noise is not."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from harness.case import Case
from harness.compare import compare_runs
from harness.compare.figure import draw
from harness.compare.page import markdown
from harness.errors import UserError
from harness.outcome import Failed, Measured, Unsupported
from harness.report.drawing import style
from harness.report.frames import Run
from tests.harness.command import ROOT
from tests.report.synthetic import FACTS, sizes, timed, write_run

BACKENDS, CELLS, LENGTHS = ("numba", "torch"), ("gru", "lstm"), (16, 256)


def items(
    slower: dict[str, float], *, seed: int, replicates: int = 5, spread: float = 0.005, threads: int = 2
):
    """Times per case and process; `slower` multiplies a backend's."""
    noise = np.random.default_rng(seed)
    for replicate in range(replicates):
        for backend in BACKENDS:
            for cell in CELLS:
                for seq_len in LENGTHS:
                    seconds = 1e-3 * seq_len * slower.get(backend, 1.0) * math.exp(spread * noise.normal())
                    measured = timed(seconds, seq_len)
                    facts = {**measured.facts, "num_threads": threads}
                    axes = sizes(backend, cell, seq_len, 1) | {"pass": "training"}
                    yield Case("throughput", axes, replicate), Measured(measured.columns, facts)


def weigh(backend: str, mebibytes: float):
    axes = sizes(backend, "gru", 16, 1) | {"pass": "training"}
    return Case("memory", axes), Measured({"repeat": [0], "peak_bytes": [mebibytes * 2**20]}, {"method": "x"})


def run(folder: Path, listed, **environment) -> Run:
    facts = {
        "run_id": folder.name,
        "environment": {**FACTS["environment"], "allowed_cores": 2, **environment},
    }
    return Run.read(write_run(folder, list(listed), facts))


def test_the_slower_backend_is_slower_and_the_other_is_the_same(tmp_path):
    old = run(tmp_path / "old", items({}, seed=1))
    new = run(tmp_path / "new", items({"numba": 1.2}, seed=2))
    found = compare_runs(old, new)
    words = {(row.group["backend"], row.word) for row in found.rows}
    assert words == {("numba", "slower"), ("torch", "same")}
    assert len(found.rows) == 8
    assert all(row.change.low < 1.2 < row.change.high for row in found.rows if row.word == "slower")
    assert len(found.regressions(0.05)) == 4
    assert found.regressions(0.5) == ()
    back = compare_runs(new, old)
    assert {row.word for row in back.rows if row.group["backend"] == "numba"} == {"faster"}
    assert back.regressions(0.0) == ()


def test_noise_is_no_regression(tmp_path):
    """Forty pairs of runs of one code: at 5 % over each grid, two of them are wrong on average."""
    wrong = 0
    for trial in range(40):
        old = run(tmp_path / f"old{trial}", items({}, seed=2 * trial, spread=0.05))
        new = run(tmp_path / f"new{trial}", items({}, seed=2 * trial + 1, spread=0.05))
        wrong += bool(compare_runs(old, new).regressions(0.03))
    assert wrong <= 6


def test_cases_of_a_group_count_as_one(tmp_path):
    old = run(tmp_path / "old", items({}, seed=1))
    new = run(tmp_path / "new", items({"numba": 1.2}, seed=2))
    found = compare_runs(old, new, by=["cell", "backend"])
    assert {(row.group["cell"], row.group["backend"]): (row.word, row.cases) for row in found.rows} == {
        ("gru", "numba"): ("slower", 2),
        ("gru", "torch"): ("same", 2),
        ("lstm", "numba"): ("slower", 2),
        ("lstm", "torch"): ("same", 2),
    }
    with pytest.raises(UserError, match="did you mean 'backend'"):
        compare_runs(old, new, by=["backnd"])


def test_a_run_is_the_same_as_itself_even_from_one_process(tmp_path):
    one = run(tmp_path / "one", [*items({}, seed=1, replicates=1, spread=0.3), weigh("numba", 100)])
    assert {row.word for row in compare_runs(one, one).rows} == {"same"}


def test_what_stayed_unstable_is_judged_only_against_itself(tmp_path):
    def unsteady(seed: int):
        for case, outcome in items({}, seed=seed):
            yield case, Measured(outcome.columns, {**outcome.facts, "unstable": "load: others at work"})

    old, new = run(tmp_path / "old", unsteady(1)), run(tmp_path / "new", unsteady(2))
    assert {row.word for row in compare_runs(old, new).rows} == {"invalid"}
    assert {row.word for row in compare_runs(old, old).rows} == {"same"}


def test_one_process_judges_nothing(tmp_path):
    old = run(tmp_path / "old", items({}, seed=1, replicates=1))
    new = run(tmp_path / "new", items({"numba": 3.0}, seed=2, replicates=1))
    assert {(row.word, row.reason) for row in compare_runs(old, new).rows} == {
        ("invalid", "one process only")
    }


def test_memory_is_compared_by_a_threshold(tmp_path):
    old = run(
        tmp_path / "old", [weigh("numba", 100), weigh("torch", 100), weigh("numpy", 2), weigh("naive", 50)]
    )
    new = run(
        tmp_path / "new", [weigh("numba", 110), weigh("torch", 102), weigh("numpy", 2.9), weigh("naive", 20)]
    )
    words = {row.group["backend"]: row.word for row in compare_runs(old, new).rows}
    assert words == {"numba": "larger", "torch": "same", "numpy": "same", "naive": "smaller"}
    assert [row.group["backend"] for row in compare_runs(old, new).regressions(0.05)] == ["numba"]
    assert compare_runs(old, new).regressions(0.2) == ()


@pytest.mark.parametrize(
    "other", [{"cpu_model": "Other"}, {"allowed_cores": 4}, {"gpus": [{"name": "G"}]}, {"cgroup_cores": 1.0}]
)
def test_other_hardware_is_refused_or_marked(tmp_path, other):
    old = run(tmp_path / "old", items({}, seed=1))
    new = run(tmp_path / "new", items({"numba": 2.0}, seed=2), **other)
    with pytest.raises(UserError, match=r"different hardware.*--allow-different-hardware"):
        compare_runs(old, new)
    found = compare_runs(old, new, allow_different_hardware=True)
    assert {(row.word, row.reason) for row in found.rows} == {("invalid", "different hardware")}
    assert "Different hardware" in markdown(found)


def test_another_thread_budget_is_no_comparison(tmp_path):
    old = run(tmp_path / "old", items({}, seed=1))
    new = run(tmp_path / "new", items({}, seed=2, threads=1))
    reasons = {(row.word, row.reason) for row in compare_runs(old, new).rows}
    assert reasons == {("invalid", "2 threads before, 1 now")}


def test_what_fails_now_is_a_loss_and_what_is_in_one_run_alone_is_counted(tmp_path):
    listed = list(items({}, seed=1))
    failing = [
        (case, Failed("SIGSEGV") if i % 8 == 0 else outcome) for i, (case, outcome) in enumerate(listed)
    ]
    old = run(tmp_path / "old", [*listed, weigh("numba", 3)])
    new = run(tmp_path / "new", failing)
    found = compare_runs(old, new)
    assert found.lost[0][1] == "failed: SIGSEGV"
    assert len(found.lost) == 1
    assert [len(names) for names in found.alone] == [2, 0]
    assert [name.split(" of ")[0] for name in found.alone[0]] == ["time", "memory"]
    assert f"Measured only before: {found.alone[0][0]}" in markdown(found)
    assert "SIGSEGV" in markdown(found)
    with pytest.raises(UserError, match="none of them shared"):
        compare_runs(run(tmp_path / "a", [weigh("numba", 3)]), run(tmp_path / "b", [weigh("torch", 3)]))


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (Unsupported("would take about 400 s, above the limit of 30 s"), "unsupported: would take"),
        (None, "open: the run has not come to it"),
    ],
)
def test_what_was_measured_and_is_not_any_more_is_a_loss(tmp_path, ending, why):
    """A backend that became so slow that its cases are skipped has not become faster."""
    listed = list(items({}, seed=1))
    now = [(case, ending if case.axes["backend"] == "numba" else outcome) for case, outcome in listed]
    run(tmp_path / "old", listed)
    found = compare_runs(Run.read(tmp_path / "old"), run(tmp_path / "new", now))
    assert len(found.lost) == 4
    assert all(reason.startswith(why) for _, reason in found.lost)
    done = command("old", "new", "--results", tmp_path, "--fail-on", "5%")
    assert done.returncode == 3, done.stderr
    assert "**4 regressions beyond 5 %.**" in done.stdout


def test_the_band_of_the_figure_is_the_threshold_that_judged(tmp_path):
    both = run(tmp_path / "run", items({}, seed=1))
    with style():
        figure = draw(compare_runs(both, both, threshold=0.01))
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "within the band of 1 % none matters" in words


def test_an_interval_that_reaches_a_thousandfold_does_not_set_the_axis(tmp_path):
    """Two processes that differ by half: the t-interval of their ratio reaches over decades."""
    axes = sizes("numba", "gru", 16, 1) | {"pass": "training"}
    for name, seconds in (("old", (1e-3, 1.1e-3)), ("new", (1e-3, 4e-3))):
        run(tmp_path / name, [(Case("throughput", axes, r), timed(t, 16)) for r, t in enumerate(seconds)])
    found = compare_runs(Run.read(tmp_path / "old"), Run.read(tmp_path / "new"))
    assert found.rows[0].change.high > 1000
    with style():
        figure = draw(found)
    low, high = figure.axes[0].get_xlim()
    assert low < 1 / 1.9 < 1.9 < high < 4
    assert low * high == pytest.approx(1.0)
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "which may run out of the frame" in " ".join(words.split())


def test_hostile_names_stay_text_in_the_page(tmp_path):
    evil = "a|b <script>@everyone #1 [x](y) `c`"
    axes = sizes(evil, "gru", 16, 1) | {"pass": "training"}
    listed = [(Case("throughput", axes, r), timed(1e-3, 16)) for r in range(2)]
    other = [(Case("throughput", axes | {"backend": "=1+1"}, r), timed(1e-3, 16)) for r in range(2)]
    both = run(tmp_path / "run", [*listed, *other])
    page = markdown(compare_runs(both, both))
    assert "<script" not in page
    assert "@everyone" not in page
    assert "#1" not in page.replace("&#", "")
    widths = {line.replace(r"\|", "").count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def command(*arguments: object) -> subprocess.CompletedProcess:
    done = [sys.executable, "-m", "harness", "compare", *map(str, arguments)]
    return subprocess.run(done, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_the_command_writes_a_page_a_figure_and_all_rows_and_ends_with_3(tmp_path):
    run(tmp_path / "old", items({}, seed=1))
    run(tmp_path / "new", [*items({"numba": 1.2}, seed=2)])
    done = command("old", "new", "--results", tmp_path, "--fail-on", "5%", "--output", tmp_path / "page.md")
    assert done.returncode == 3, done.stderr
    page = (tmp_path / "page.md").read_text()
    assert "**4 regressions beyond 5 %.**" in page
    assert "![Change of each case, with its interval](page.svg)" in page
    assert (tmp_path / "page.svg").stat().st_size > 1000
    assert (tmp_path / "page.png").stat().st_size > 1000
    rows = pd.read_csv(tmp_path / "page.csv")
    assert rows["verdict"].value_counts().to_dict() == {"slower": 4, "same": 4}
    assert not list(tmp_path.glob(".compare-*"))


def test_the_command_ends_with_0_or_with_a_clear_line(tmp_path):
    run(tmp_path / "old", items({}, seed=1))
    run(tmp_path / "new", items({}, seed=2, spread=0.001))
    run(tmp_path / "one", items({}, seed=2, replicates=1))
    assert command(tmp_path / "old", tmp_path / "new", "--fail-on", "5%").returncode == 0
    for arguments, words in (
        (["old", "one", "--fail-on", "5%"], "no comparison of time could be judged"),
        (["old", "new", "--fail-on", "five"], "a percentage above 0, such as 5%"),
        (["old", "none"], "no run 'none'"),
        (["old", "new", "--output", tmp_path / "no" / "page.md"], "there is no folder"),
    ):
        done = command(*arguments, "--results", tmp_path)
        assert done.returncode == 2, done
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def in_rounds(slower: float, slowness: float, *, seed: int, replicates: int = 5):
    """Both in turn, on a machine that is `slowness` times as slow, and changes from round to round."""
    noise = np.random.default_rng(seed)
    axes = sizes("", "gru", 16, 1) | {"pass": "training"}
    for replicate in range(replicates):
        machine = slowness * np.exp(0.3 * noise.normal(size=9) + 0.2 * noise.normal())
        for backend, factor in (("torch", 1.0), ("numba", 0.4 * slower)):
            seconds = 1e-3 * factor * machine * np.exp(0.01 * noise.normal(size=9))
            columns = {"phase": ["sample"] * 9, "seconds": list(seconds)}
            columns |= {"attempt": [0] * 9, "round": list(range(9))}
            facts = {"together": f"{seed}-{replicate}", "relative_error": 1e-7, "flop": 1, "steps": 1}
            yield Case("throughput", {**axes, "backend": backend}, replicate), Measured(columns, facts)


def test_peaks_alone_do_not_open_the_gate(tmp_path):
    """Memory has a verdict from one process; of the times, that have none, nothing is known."""
    run(tmp_path / "old", [*items({}, seed=1, replicates=1), weigh("numba", 300)])
    run(tmp_path / "new", [*items({"numba": 9.0}, seed=2, replicates=1), weigh("numba", 300)])
    done = command("old", "new", "--results", tmp_path, "--fail-on", "5%")
    assert done.returncode == 2, done.stdout
    assert "no comparison of time could be judged" in done.stderr
    assert "got one process only (in 8 of 8)" in done.stderr
    assert "No regression beyond 5 % in 1 comparison; 8 more could not be judged." in done.stdout
    assert "A peak is the same within 3 % or 1 MiB." in done.stdout


@pytest.mark.parametrize(("slower", "word"), [(1.0, "same"), (1.1, "slower"), (0.9, "faster")])
def test_in_another_backends_time_a_slower_machine_is_no_regression(tmp_path, slower, word):
    old = run(tmp_path / "old", in_rounds(1.0, 1.0, seed=1))
    new = run(tmp_path / "new", in_rounds(slower, 1.5, seed=2))
    (row,) = compare_runs(old, new, relative_to="torch").rows
    assert (row.group["backend"], row.word) == ("numba", word)
    assert row.change.value == pytest.approx(slower, rel=0.02)
    assert row.old == pytest.approx(0.4, rel=0.02)
    in_seconds = {r.word for r in compare_runs(old, new).rows if r.group["backend"] == "torch"}
    assert in_seconds <= {"slower", "ambiguous"}, "torch is the same, and takes longer on this machine"
    page = markdown(compare_runs(old, new, relative_to="torch"))
    assert re.search(r"\| 0\.4\d* of torch \|", page)
    assert "what the machine did to both cancels" in page


def test_a_backend_to_compare_with_that_was_not_timed_is_named(tmp_path):
    old = run(tmp_path / "old", in_rounds(1.0, 1.0, seed=1))
    with pytest.raises(UserError, match=r"--relative-to torhc: not timed in old; did you mean 'torch'\?"):
        compare_runs(old, old, relative_to="torhc")
    weighed = run(tmp_path / "weighed", [weigh("numba", 3)])
    with pytest.raises(UserError, match="not timed in weighed"):
        compare_runs(old, weighed, relative_to="torch")
