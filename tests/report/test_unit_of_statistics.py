"""What the statistics of a run may not lose: the process as the unit, the pairing, every sample.

Each test fails where somebody pools the samples of several processes, divides means that do not belong
together, drops what looks like an outlier, or reads an attempt that was disturbed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report.frames import Run
from harness.report.statistics import estimate
from harness.report.summaries.speedups import speedups
from harness.report.summaries.throughput import Throughput, throughput
from harness.report.words import missing
from tests.report.synthetic import sizes, write_run

Samples = list[float]


def run_of(folder: Path, processes: dict[str, list[Samples]], **facts: object) -> Run:
    """backend -> the samples of each process, at one size."""
    return Run.read(
        write_run(
            folder,
            [
                (case(backend, replicate), measured(samples, **facts))
                for backend, listed in processes.items()
                for replicate, samples in enumerate(listed)
            ],
        )
    )


def case(backend: str, replicate: int) -> Case:
    return Case("throughput", sizes(backend, "gru", 8, 1) | {"pass": "inference"}, replicate)


def measured(samples: Samples, attempt_of: list[int] | None = None, **facts: object) -> Measured:
    n = len(samples)
    return Measured(
        {
            "phase": ["sample"] * n,
            "attempt": attempt_of or [0] * n,
            "index": list(range(n)),
            "loops": [1] * n,
            "seconds": samples,
        },
        {"flop": 8, "steps": 8, "num_threads": 2, "relative_error": 1e-7, **facts},
    )


def summary(run: Run) -> Throughput:
    found = throughput(run)
    assert found is not None
    return found


def row(run: Run, backend: str) -> dict[str, float]:
    return summary(run).frame.set_index("backend").loc[backend].to_dict()


def test_the_process_is_the_unit(tmp_path: Path) -> None:
    """However many samples a process gives, it is one observation."""
    medians, noise = [1.00, 1.04, 0.97], [0.999, 1.0, 1.001]
    few = run_of(tmp_path / "few", {"torch": [[m * f for f in noise] for m in medians]})
    many = run_of(tmp_path / "many", {"torch": [[m * f for f in noise * 30] for m in medians]})
    expected = estimate(medians)
    for run in (few, many):
        found = row(run, "torch")
        assert (found["seconds_low"], found["seconds_high"]) == pytest.approx((expected.low, expected.high))
        assert found["processes"] == 3


def test_unequal_numbers_of_samples_weigh_alike(tmp_path: Path) -> None:
    found = row(run_of(tmp_path, {"torch": [[1.0] * 90, [4.0] * 5]}), "torch")
    assert found["seconds"] == pytest.approx(2.0)


def test_no_sample_is_left_out(tmp_path: Path) -> None:
    """With the far ones, the median is 1.2; without them, 1.1."""
    run = run_of(tmp_path, {"torch": [[1.0, 1.1, 1.2, 60.0, 90.0]]})
    assert row(run, "torch")["seconds"] == pytest.approx(1.2)
    assert run.measured("throughput")["seconds"].tolist() == [1.0, 1.1, 1.2, 60.0, 90.0]


def test_speed_ups_are_paired_within_a_replicate(tmp_path: Path) -> None:
    """The machine gets slower by half from replicate to replicate; the ratio is 1.10 in each of them."""
    slow = [1.0, 1.5, 2.25]
    run = run_of(
        tmp_path,
        {"torch": [[1.1 * s] for s in slow], "numba": [[1.0], [1.5 * 1.001], [2.25 * 0.999]]},
    )
    found = row(run, "numba")
    assert found["speedup"] == pytest.approx(1.1, rel=1e-3)
    assert 1.09 < found["speedup_low"] < found["speedup_high"] < 1.11
    assert found["verdict"] == "faster"
    between = speedups(run)
    assert between is not None
    pair = between.frame.query("backend == 'numba' and peer == 'torch'").iloc[0]
    assert 1.09 < pair["speedup_low"] < pair["speedup_high"] < 1.11
    assert pair["faster"] == 1


def test_a_replicate_that_one_backend_lacks_is_in_no_pair(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"torch": [[1.0], [1.0], [100.0]], "numba": [[1.0], [1.0]]})
    assert row(run, "numba")["speedup"] == pytest.approx(1.0)
    between = speedups(run)
    assert between is not None
    assert between.frame["speedup"].tolist() == pytest.approx([1.0] * len(between.frame))


def test_the_last_attempt_is_read_and_all_are_kept(tmp_path: Path) -> None:
    samples = [5.0, 5.0, 5.0, 1.0, 1.0, 1.0]
    listed = [(case("torch", 0), measured(samples, [0, 0, 0, 1, 1, 1], attempts=2))]
    run = Run.read(write_run(tmp_path, listed))
    assert row(run, "torch")["seconds"] == pytest.approx(1.0)
    assert run.measured("throughput")["seconds"].tolist() == samples


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"unstable": "load: others used 1.50 of 2 cores; spread: wide"}, "unstable (load, spread)"),
        ({"relative_error": None}, "not held against the reference"),
    ],
)
def test_what_cannot_be_trusted_gets_no_verdict(
    tmp_path: Path, facts: dict[str, object], reason: str
) -> None:
    times = {"torch": [[2.0], [2.0], [2.0]], "numba": [[1.0], [1.01], [0.99]]}
    found = row(run_of(tmp_path, times, **facts), "numba")
    assert found["verdict"] == "invalid"
    assert reason in str(found["verdict_reason"])


def test_one_process_is_no_verdict(tmp_path: Path) -> None:
    found = row(run_of(tmp_path, {"torch": [[2.0] * 50], "numba": [[1.0] * 50]}), "numba")
    assert (found["verdict"], found["verdict_reason"]) == ("invalid", "one process only")
    assert np.isnan(found["speedup_low"])


def test_two_machines_are_no_pair(tmp_path: Path) -> None:
    listed = [
        (case(backend, i), measured([1.0], machine=machine))
        for backend, machine in (("torch", "a"), ("numba", "b"))
        for i in range(3)
    ]
    found = row(Run.read(write_run(tmp_path, listed)), "numba")
    assert np.isnan(found["speedup"])
    assert missing(found["verdict"])
