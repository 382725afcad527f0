"""Shares of the machine's limit, worked out here by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured, Unsupported
from harness.report import write_report
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS, Answer
from harness.report.summaries.limits import limits
from tests.report.synthetic import Item, timed, write_run

T, B, H = 4, 2, 8
RATES = {"large_product": 100e9, "input_product": 50e9, "recurrent_product": 10e9, "copy": 20e9}
SHAPES = {
    "large_product": (1024,) * 3,
    "input_product": (T * B, H, 4 * H),
    "recurrent_product": (B, H, 4 * H),
}
INPUT_FLOP, RECURRENT_FLOP = 5e9, 2e9


def rate(kernel: str, per_second: float, backend: str = "numpy", device: str = "cpu") -> Item:
    """A measured rate: the fastest sample is what counts, warm-ups and the other way do not."""
    rows, inner, columns = SHAPES.get(kernel, (None,) * 3)
    dtype = None if kernel == "copy" else "float32"
    axes = {"backend": backend, "kernel": kernel, "dtype": dtype}
    axes |= {"rows": rows, "inner": inner, "columns": columns}
    seconds = [1e-4 / per_second, 1.3 / per_second, 1.0 / per_second, 2.0 / per_second]
    columns_ = {
        "method": ["whole", "whole", "split", "split"],
        "phase": ["warmup", "sample", "sample", "sample"],
        "index": [0, 0, 0, 1],
        "loops": [1, 1, 1, 1],
        "seconds": seconds,
    }
    facts: dict[str, Any] = {"device": device}
    facts |= {"bytes": 1.0, "cache_bytes": 1e6} if kernel == "copy" else {"flop": 1.0}
    return Case("limits", axes), Measured(columns_, facts)


def call(backend: str, seconds: float, *, moved: float = 1e3, device: str = "cpu", **changes: Any) -> Item:
    axes = {"backend": backend, "cell": "lstm", "pass": "inference", "dtype": "float32"}
    axes |= {"seq_len": T, "batch_size": B, "input_size": None, "hidden_size": H} | changes
    outcome = timed(seconds, T * B)
    facts = dict(outcome.facts) | {"flop": INPUT_FLOP + RECURRENT_FLOP, "device": device, "bytes": moved}
    facts |= {"input_rows": axes["seq_len"] * axes["batch_size"], "gate_rows": 4 * H}
    facts |= {"input_product_flop": INPUT_FLOP, "recurrent_product_flop": RECURRENT_FLOP}
    return Case("throughput", axes), Measured(outcome.columns, facts)


def run_of(folder: Path, *items: Item, rates: dict[str, float] = RATES) -> Run:
    return Run.read(write_run(folder, [*items, *(rate(kernel, value) for kernel, value in rates.items())]))


def answer(run: Run) -> Answer:
    found = SECTIONS["limits"].answer(run)
    assert found is not None
    return found


def test_the_share_is_the_time_at_the_shapes_own_rates(tmp_path: Path) -> None:
    # 5 GFLOP at 50 GFLOP/s and 2 at 10: no less than 0.3 s
    found = limits(run_of(tmp_path, call("numba", 0.6), call("torch", 3.0)))
    assert found is not None
    frame = found.frame.set_index("backend")
    assert frame["share"].to_dict() == pytest.approx({"numba": 0.5, "torch": 0.1})
    assert frame["limit_flop_per_second"].to_list() == pytest.approx([7e9 / 0.3] * 2)
    assert frame["share_of_large"]["numba"] == pytest.approx(7 / 0.6 / 100)
    assert set(frame["bound"]) == {"compute"}


def test_what_no_cache_holds_is_bound_by_the_bandwidth(tmp_path: Path) -> None:
    # 20 GB but for the megabyte in the cache, at 20 GB/s
    found = limits(run_of(tmp_path, call("numba", 2.0, moved=20e9 + 1e6)))
    assert found is not None
    assert found.frame["bound"].tolist() == ["bandwidth"]
    assert found.frame["share"].tolist() == pytest.approx([0.5])


def test_the_fastest_library_is_the_limit_but_not_of_another_device(tmp_path: Path) -> None:
    fast = [rate(kernel, 2 * RATES[kernel], "torch") for kernel in SHAPES]
    cuda = [rate(kernel, 100 * RATES[kernel], "cudnn", "cuda") for kernel in SHAPES]
    found = limits(run_of(tmp_path, call("numba", 0.6), *fast, *cuda))
    assert found is not None
    assert found.frame["share"].tolist() == pytest.approx([0.25])
    products = found.rates.query("kernel == 'input_product' and device == 'cpu'")
    assert products["backend"].tolist() == ["torch"]


def test_a_shape_that_was_not_measured_has_no_share(tmp_path: Path) -> None:
    run = run_of(tmp_path, call("numba", 0.6), call("numba", 1.0, seq_len=2 * T))
    found = limits(run)
    assert found is not None
    assert found.frame["seq_len"].tolist() == [T]


def test_the_sentences_are_the_tables(tmp_path: Path) -> None:
    found = answer(run_of(tmp_path, call("numba", 0.25), call("torch", 3.0)))
    assert found.sentence == "numba reaches 120 % of the library's rate at these shapes."
    assert "torch reaches 10 % of the library's rate at these shapes." in found.details
    assert any("100 GFLOP/s in a large float32 product and 20.0 GB/s in a copy" in s for s in found.details)
    assert "The library's rate is that of its products in 1 of 1 case." in found.details
    assert any("1 share above 100 % (numba)" in s and "28 % of the large" in s for s in found.details)
    assert found.table is not None
    assert found.table.columns == ("library", "bound", "numba", "torch")
    assert found.table.rows == (("23.3", "compute", "28.0 (120 %)", "2.33 (10 %)"),)


def test_a_recurrent_product_of_ones_own_is_held_against_the_large_one(tmp_path: Path) -> None:
    """It is no limit: though it is faster than the library at this shape, the shares stay."""
    own = rate("recurrent_product", 80e9, "numba")
    own = Case("limits", dict(own[0].axes) | {"kernel": "own_recurrent_product"}), own[1]
    run = run_of(tmp_path, call("numba", 0.6), call("torch", 3.0), own)
    summary = limits(run)
    assert summary is not None
    frame = summary.frame.set_index("backend")
    assert frame["share"].to_dict() == pytest.approx({"numba": 0.5, "torch": 0.1})
    assert frame["own_product_share_of_large"]["numba"] == pytest.approx(0.8)
    assert np.isnan(frame["own_product_share_of_large"]["torch"])
    assert set(summary.rates["kernel"]) == set(RATES)
    found = answer(run)
    assert found.table is not None
    assert found.table.columns[-3:] == ("numba's recurrent product", "numba", "torch")
    assert found.table.rows[0][-3] == "80.0 (80 %)"
    assert any("numba, by itself, reaches 80 % (2 × 8 by 8 × 32)" in s for s in found.details)


def test_rates_without_a_timed_case_are_still_told(tmp_path: Path) -> None:
    found = answer(run_of(tmp_path))
    assert found.sentence.startswith("On the cpu this machine reaches 100 GFLOP/s")
    assert found.table is None


def test_a_record_without_demands_has_no_shares(tmp_path: Path) -> None:
    case, outcome = call("numba", 0.6)
    run = run_of(tmp_path, (case, Measured(outcome.columns, {"flop": 1.0})))  # type: ignore[union-attr]
    assert answer(run).table is None


def test_nothing_measured_is_no_answer(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path, [(rate("copy", 1.0)[0], Unsupported("no device"))]))
    assert SECTIONS["limits"].answer(run) is None


def test_the_figure_shows_every_share(tmp_path: Path) -> None:
    run = run_of(tmp_path, call("numba", 0.6), call("torch", 2.0, moved=20e9 + 1e6))
    with style():
        (picture,) = FIGURES["limits"].draw(run)
    (axes,) = picture.figure.axes
    drawn = [line for line in axes.get_lines() if line.get_marker() not in ("None", "")]
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in drawn}  # type: ignore[index]
    assert points == {(picture.data["limit_gflops"][i], picture.data["achieved_gflops"][i]) for i in (0, 1)}
    hollow = [line for line in drawn if line.get_markerfacecolor() == "none"]
    assert len(hollow) == 1
    diagonal = axes.get_lines()[0]
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_the_command_measures_both_sides_again(tmp_path: Path) -> None:
    folder = run_of(tmp_path, call("numba", 0.6)).folder
    page = write_report(folder).with_suffix(".md").read_text(encoding="utf-8")
    assert "--study limits --study throughput" in page
