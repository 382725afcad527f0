"""The plans `peers` and `deepbench` hold exactly the sizes that they promise."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.case import Case
from harness.plan import Plan
from harness.plan_file import load_plan

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
GROWTH = {(512, 1, 64), (128, 8, 64)}
"""What the grid lacks for three sizes of T, and of B, with the other sizes held."""
COMPILED = {(32, 1, 64), (128, 32, 64)}
"""Where torch_compile takes part: it compiles for minutes, in every process anew."""


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
    everywhere = dict.fromkeys(("numba", "torch", "jax", "onnxruntime", "torch_script"), GRID | GROWTH)
    assert found == {
        (backend, cell, passing, *size)
        for backend, taken in {**everywhere, "torch_compile": COMPILED}.items()
        for cell in ("rnn_tanh", "lstm", "gru")
        for passing in ("inference", "training")
        for size in taken
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


@pytest.mark.parametrize(
    ("name", "study"), [("standard", "throughput"), ("standard", "memory"), ("peers", "throughput")]
)
@pytest.mark.parametrize("axis", range(3))
def test_every_backend_has_three_sizes_of_each_with_the_others_held(name: str, study: str, axis: int) -> None:
    """Or no exponent could be fitted."""
    found: dict[object, dict[tuple[int, ...], set[int]]] = {}
    for case in load_plan(name).cases():
        if case.study != study or case.backend == "torch_compile":
            continue
        size = sizes(case)
        kind = tuple(case.axes[word] for word in ("backend", "cell", "pass", "dtype"))
        series = found.setdefault(kind, {}).setdefault(size[:axis] + size[axis + 1 :], set())
        series.add(size[axis])
    assert found
    assert all(max(map(len, series.values())) >= 3 for series in found.values())
