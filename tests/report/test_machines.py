"""A run of two machines: their numbers stand side by side under their names, and never in one ratio."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.case import Case
from harness.ledger import Entry
from harness.outcome import Measured
from harness.report import write_report
from harness.report.frames import Run
from harness.report.machines import short_names
from harness.report.overview import what_and_where
from harness.report.questions import SECTIONS
from harness.report.summaries.certainty import speed_change
from harness.report.summaries.growth import growth
from harness.report.summaries.limits import limits
from harness.report.summaries.memory import memory
from harness.report.summaries.speedups import speedups
from harness.report.summaries.throughput import throughput
from tests.report import synthetic
from tests.report.synthetic import Item, write_run
from tests.report.test_limits import RATES, call, rate

FAST, SLOW = "Fast CPU, 8 cores", "Slow CPU, 2 cores"
FACTS = {"machines": {FAST: {"cpu_model": "Fast CPU", "logical_cores": 8}, SLOW: {"cpu_model": "Slow CPU"}}}


def on(machine: str, item: Item, factor: float = 1.0) -> Item:
    """The same measurement on a machine that takes so many times as long."""
    case, outcome = item
    if not isinstance(outcome, Measured):
        return item
    columns = dict(outcome.columns)
    if "seconds" in columns:
        columns["seconds"] = [value * factor for value in columns["seconds"]]
    return case, Measured(columns, {**outcome.facts, "machine": machine})


def two_machines() -> list[Item]:
    """Replicates 0 and 1 on the fast machine, 2 and 3 on one that is a hundred times as slow."""
    placed = []
    for item in synthetic.items(lengths=(16, 64, 256), batches=(1, 32), replicates=4, decay_length=8):
        there = item[0].replicate >= 2
        placed.append(on(SLOW, item, 100.0) if there else on(FAST, item))
    # memory has one replicate: half of its settings there
    return [
        on(SLOW, item) if item[0].study == "memory" and item[0].axes["seq_len"] == 256 else item
        for item in placed
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("machines") / "run", two_machines(), FACTS)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return Run.read(folder)


def test_the_machine_is_an_axis_where_times_are_compared(run: Run) -> None:
    assert run.machines == {FAST: "A", SLOW: "B"}
    assert run.axes("throughput")[0] == "machine"
    assert run.axes("memory")[0] == "machine"
    assert "machine" not in run.axes("parity")
    assert "machine" not in run.axes("gradient_decay")
    # the record keeps the whole name
    assert set(run.frame("throughput")["machine"].dropna()) == {FAST, SLOW}


def test_one_machine_is_no_axis(tmp_path: Path) -> None:
    listed = [on(FAST, item) for item in synthetic.items(lengths=(16,), decay_length=4)]
    alone = Run.read(write_run(tmp_path / "run", listed))
    assert "machine" not in alone.axes("throughput")
    found = throughput(alone)
    assert found is not None
    assert "machine" not in found.axes


def test_times_are_not_pooled(run: Run) -> None:
    found = throughput(run)
    assert found is not None
    axes = [axis for axis in found.axes if axis != "machine"]
    pairs = found.frame.pivot_table(index=[*axes, "backend"], columns="machine", values="seconds")
    # a replicate is 2 % slower than the one before, and B takes a hundred times as long
    assert (pairs["B"] / pairs["A"]).to_numpy() == pytest.approx(100 * 1.02**2)
    assert set(found.frame["processes"]) == {2}
    everywhere = found.frame["seconds_high"] / found.frame["seconds_low"]
    assert everywhere.max() < 2  # pooled, it would be many thousands


def test_ratios_are_taken_on_one_machine(run: Run) -> None:
    found = throughput(run)
    assert found is not None
    numba = found.frame[(found.frame["backend"] == "numba") & (found.frame["cell"] == "gru")]
    assert set(numba["machine"]) == {"A", "B"}
    assert numba["speedup"].to_numpy() == pytest.approx(4.0)
    assert not numba["verdict_reason"].str.contains("machine").any()


def test_means_over_settings_stay_on_one_machine(run: Run) -> None:
    found = speedups(run)
    assert found is not None
    assert found.kinds[0] == "machine"
    assert found.frame["machine"].notna().all()
    exponents = growth(run)
    assert exponents is not None
    times = exponents.exponents[exponents.exponents["quantity"] == "time"]
    assert set(times["machine"]) == {"A", "B"}


def test_a_line_through_peaks_stays_on_one_machine(run: Run) -> None:
    found = memory(run)
    assert found is not None
    points = found.slopes.groupby("machine")["points"].unique().map(list).to_dict()
    assert points == {"A": [2], "B": [1]}


def test_a_limit_is_that_of_its_own_machine(tmp_path: Path) -> None:
    listed = [on(FAST, call("numba", 0.6)), on(FAST, call("torch", 3.0))]
    slow_case, slow_outcome = on(SLOW, call("numba", 0.6, batch_size=2), 10.0)
    listed.append((type(slow_case)(slow_case.study, slow_case.axes, 1), slow_outcome))
    listed += [on(FAST, rate(kernel, value)) for kernel, value in RATES.items()]
    again = [on(SLOW, rate(kernel, value), 10.0) for kernel, value in RATES.items()]
    listed += [(type(case)(case.study, case.axes, 1), outcome) for case, outcome in again]
    found = limits(Run.read(write_run(tmp_path / "run", listed)))
    assert found is not None
    shares = found.frame.set_index(["machine", "backend"])["share"].to_dict()
    assert shares == pytest.approx({("A", "numba"): 0.5, ("A", "torch"): 0.1, ("B", "numba"): 0.5})


def test_no_share_of_another_machines_limit(tmp_path: Path) -> None:
    listed = [
        on(FAST, call("numba", 0.6)),
        *(on(SLOW, rate(kernel, value)) for kernel, value in RATES.items()),
    ]
    found = limits(Run.read(write_run(tmp_path / "run", listed)))
    assert found is not None
    assert found.frame.empty


def test_the_speed_of_machines_is_no_change_of_speed(run: Run) -> None:
    found = throughput(run)
    assert found is not None
    probes = found.processes["machine"].map({"A": 1.0, "B": 100.0})
    assert speed_change(found.processes.assign(probe_seconds=probes)) == pytest.approx(1.0)


def test_the_report_names_the_machines(run: Run) -> None:
    lines = dict(what_and_where(run))
    assert "2 machines, whose times are never compared" in lines["Machine"]
    assert "A: Fast CPU, 8 logical cores" in lines["Machine"]
    assert "B: Slow CPU" in lines["Machine"]
    # what each of them did, and under how many threads
    assert lines["Measured on"].startswith("A: ")
    assert "; B: " in lines["Measured on"]
    assert "2 in force on A, 2 in force on B" in lines["Threads"]
    found = SECTIONS["speedups"].answer(run)
    assert found is not None
    assert "on machine A" in found.sentence
    assert "on machine B" in found.sentence


def test_names_do_not_run_out() -> None:
    entries = [
        Entry(Case("s", {"backend": "x", "i": i}), Measured({}, {"machine": str(i)}), None) for i in range(28)
    ]
    assert list(short_names(entries).values())[-3:] == ["Z", "27", "28"]


def test_the_report_of_times_and_memory_is_written(tmp_path: Path) -> None:
    """Of one cell; the other studies' figures know nothing of machines."""
    confined = [item for item in two_machines() if item[0].study in ("throughput", "memory")]
    folder = write_run(tmp_path / "run", [i for i in confined if i[0].axes["cell"] == "gru"], FACTS)
    write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "machine A" in text
    assert "machine B" in text
    assert sorted(path.name for path in (folder / "figures").glob("throughput*.png"))
