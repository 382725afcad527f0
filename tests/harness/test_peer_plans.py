"""The plans `peers` and `deepbench` hold exactly the sizes that they promise."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from harness.case import Case
from harness.plan import Plan, load_plan

DEEPBENCH = Path(__file__).parent / "data" / "deepbench.csv"
GRID = {  # (T, B, H)
    (32, 1, 64),
    (128, 1, 64),
    (512, 1, 128),
    (128, 32, 64),
    (128, 32, 128),
    (128, 32, 256),
    (128, 64, 512),
    (1024, 16, 128),
}


def sizes(case: Case) -> tuple[int, ...]:
    assert case.axes["input_size"] is None, "I = H"
    return tuple(int(case.axes[axis] or 0) for axis in ("seq_len", "batch_size", "hidden_size"))


def timed(plan: Plan) -> list[Case]:
    """The cases that are timed: the limits measured beside them have shapes of their own."""
    return [case for case in plan.cases() if case.study == "throughput"]


def deepbench_rows() -> Iterator[tuple[object, ...]]:
    with DEEPBENCH.open(newline="") as file:
        for row in csv.DictReader(file):
            passing = "training" if row["suite"] == "training" else "inference"
            yield passing, row["cell"], int(row["seq_len"]), int(row["batch_size"]), int(row["hidden_size"])


def test_peers_covers_the_whole_grid_for_every_backend() -> None:
    plan = load_plan("peers")
    found = {
        (case.axes["backend"], case.axes["cell"], case.axes["pass"], *sizes(case)) for case in timed(plan)
    }
    backends = ("numba", "torch", "jax", "onnxruntime", "torch_script", "torch_compile")
    assert found == {
        (backend, cell, passing, *size)
        for backend in backends
        for cell in ("rnn_tanh", "lstm", "gru")
        for passing in ("inference", "training")
        for size in GRID
    }
    assert {case.axes["dtype"] for case in timed(plan)} == {"float32"}
    assert len(timed(plan)) == plan.replicates * len(found)
    assert (plan.replicates, plan.threads) == (3, 2)


def test_deepbench_covers_its_table_and_nothing_else() -> None:
    by_backend: dict[object, set[tuple[object, ...]]] = {}
    for case in timed(load_plan("deepbench")):
        by_backend.setdefault(case.axes["backend"], set()).add(
            (case.axes["pass"], case.axes["cell"], *sizes(case))
        )
    expected = set(deepbench_rows())
    assert len(expected) == 124
    for backend, found in by_backend.items():
        assert found == expected, backend
