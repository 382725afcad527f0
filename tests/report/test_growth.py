"""Exponents that went in come out, crossings are where the lines cross, speed-ups are ratios of times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS, Answer
from harness.report.statistics import power_law
from harness.report.summaries.crossover import crossings
from harness.report.summaries.growth import growth
from implementations.registry import CELLS
from tests.report.synthetic import Item, sizes, timed, write_run

SIZES = (4, 16, 64)


def calls(
    seconds: dict[str, Callable[[int, int], float]],
    lengths: tuple[int, ...] = SIZES,
    batches: tuple[int, ...] = (1, 8),
) -> Iterator[Item]:
    for (backend, of), seq_len, batch_size in product(seconds.items(), lengths, batches):
        axes = sizes(backend, "gru", seq_len, batch_size) | {"pass": "training"}
        yield Case("throughput", axes), timed(of(seq_len, batch_size), seq_len * batch_size)


def run_of(folder: Path, *items: Item) -> Run:
    return Run.read(write_run(folder, items))


def answer(name: str, run: Run) -> Answer:
    found = SECTIONS[name].answer(run)
    assert found is not None
    return found


def test_a_power_law_is_recovered_whatever_the_groups_factors() -> None:
    x = np.array([1.0, 2.0, 4.0] * 2)
    law = power_law(x, np.array([3.0] * 3 + [700.0] * 3) * x**0.75, ["a"] * 3 + ["b"] * 3)
    assert law is not None
    assert (law.exponent, law.low, law.high) == pytest.approx((0.75, 0.75, 0.75))
    assert law.points == 6


def test_the_interval_is_that_of_a_regression() -> None:
    from scipy import stats

    x, y = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 2.5, 3.0, 9.0])
    law, fit = power_law(x, y, [0] * 4), stats.linregress(np.log(x), np.log(y))
    assert law is not None
    half = stats.t.ppf(0.975, 2) * fit.stderr
    assert (law.exponent, law.low, law.high) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    x, group = np.tile([1.0, 4.0, 16.0], 3), np.repeat([0, 1, 2], 3)
    laws = [power_law(x, x**0.9 * np.exp(0.1 * rng.standard_normal(9)), group) for _ in range(400)]
    covered = [law.low <= 0.9 <= law.high for law in laws if law is not None]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_no_exponent_without_two_sizes_and_no_interval_without_a_point_to_spare() -> None:
    assert power_law([2.0, 2.0], [1.0, 3.0], [0, 0]) is None
    law = power_law([1.0, 2.0], [1.0, 4.0], [0, 0])
    assert law is not None
    assert law.exponent == pytest.approx(2.0)
    assert math.isnan(law.low)


def test_known_exponents_of_time(tmp_path: Path) -> None:
    batches = (1, 4, 16)
    run = run_of(
        tmp_path,
        *calls({"numba": lambda t, b: 1e-3 * t**0.9 * b**0.5, "naive": lambda t, b: t * b}, SIZES, batches),
    )
    found = growth(run)
    assert found is not None
    rows = found.exponents.set_index(["size", "backend"])["exponent"]
    assert rows.to_dict() == pytest.approx(
        {
            ("seq_len", "numba"): 0.9,
            ("seq_len", "naive"): 1.0,
            ("batch_size", "numba"): 0.5,
            ("batch_size", "naive"): 1.0,
        }
    )
    assert set(found.exponents["settings"]) == {3}
    answered = answer("growth", run)
    assert answered.sentence == (
        "Time grows with T (4 to 64) with an exponent between 0.90 ± 0.00 (numba) and 1.00 ± 0.00 (naive)."
    )
    assert answered.details == (
        "Time grows with B (1 to 16) with an exponent between 0.50 ± 0.00 (numba) and 1.00 ± 0.00 (naive).",
    )
    assert answered.table is not None
    assert answered.table.rows[0] == ("time", "T", "4–64", "1.00 ± 0.00", "0.90 ± 0.00")


def test_an_exponent_that_is_hardly_known_is_not_told_as_an_end(tmp_path: Path) -> None:
    bent = {4: 1.0, 16: 1.0, 64: 40.0}
    times = {"numba": lambda t, b: t * b, "torch": lambda t, b: bent[t] * b}
    found = answer("growth", run_of(tmp_path / "some", *calls(times)))
    assert found.sentence == (
        "Time grows with T (4 to 64) with the exponent 1.00 ± 0.00 (numba); 1 known no better than to ± 0.5 "
        "is left out."
    )
    none = answer("growth", run_of(tmp_path / "none", *calls({"torch": times["torch"]})))
    assert none.sentence == (
        "Time grows with T (4 to 64), with no exponent that is known; 1 known no better than to ± 0.5 is "
        "left out."
    )
    assert none.table is None
    assert len(none.summary) == 1
    table = found.table
    assert table is not None
    assert table.columns[-1] == "numba"
    assert [row[-1] for row in table.rows] == ["1.00 ± 0.00"]
    assert table.caption.endswith(", 1 exponent known no better than to ± 0.5 left out.")


def test_known_exponent_of_memory(tmp_path: Path) -> None:
    items = list(calls({"numba": lambda t, b: t * b}, batches=(1,)))
    for seq_len in SIZES:
        axes = sizes("numba", "gru", seq_len, 1) | {"pass": "training"}
        peak = {"repeat": [0], "peak_bytes": [float(100 * seq_len**2)]}
        items.append((Case("memory", axes), Measured(peak, {"method": "VmHWM"})))
    found = growth(run_of(tmp_path, *items))
    assert found is not None
    rows = found.exponents.set_index("quantity")["exponent"]
    assert rows.to_dict() == pytest.approx({"time": 1.0, "memory": 2.0})


def test_two_sizes_have_no_section(tmp_path: Path) -> None:
    times = {"numba": lambda t, b: t * b, "torch": lambda t, b: 2.0 * t * b}
    folder = write_run(tmp_path, list(calls(times, (4, 16))))
    for name in ("growth", "crossover"):
        assert SECTIONS[name].answer(Run.read(folder)) is None
    page = write_report(folder).read_text(encoding="utf-8")
    assert "How does cost grow?" not in page
    assert "Nothing was measured" not in page


def test_the_growth_figure_has_each_exponent(tmp_path: Path) -> None:
    run = run_of(tmp_path, *calls({"numba": lambda t, b: t**0.9 * b, "torch": lambda t, b: t * b}))
    with style():
        (picture,) = FIGURES["growth"].draw(run)
    (axes,) = picture.figure.axes
    drawn = [x for line in axes.get_lines() if line.get_marker() == "o" for x in np.asarray(line.get_xdata())]
    assert sorted(drawn) == pytest.approx([0.9, 1.0])
    assert axes.get_title() == "time of a call in T, training"


def test_a_crossing_is_where_the_lines_cross() -> None:
    x = np.array([1.0, 8.0, 64.0])
    (found,) = crossings(x, np.log(32.0 / x), ("a", "b"))
    assert found["at"] == pytest.approx(32.0)
    assert (found["faster_below"], found["faster_above"]) == ("a", "b")
    assert (found["below"], found["above"]) == (8.0, 64.0)
    assert (found["lead_below"], found["lead_above"]) == pytest.approx((4.0, 2.0))


def test_where_two_are_nearly_equal_nothing_is_decided() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert list(crossings(x, np.log([2.0, 0.98, 1.01, 2.0]), ("a", "b"))) == []
    (found,) = crossings(x, np.log([2.0, 1.02, 0.98, 0.5]), ("a", "b"))
    assert (found["below"], found["above"]) == (1.0, 8.0)


def test_who_wins_from_which_size_on(tmp_path: Path) -> None:
    # torch has a fixed cost of its own and the smaller slope: equal at T = 32
    run = run_of(
        tmp_path,
        *calls(
            {
                "numba": lambda t, b: 1e-3 * t * b,
                "torch": lambda t, b: 1e-3 * math.sqrt(32 * t) * b,
                "naive": lambda t, b: 1.0 * t * b,
            }
        ),
    )
    found = answer("crossover", run)
    assert found.sentence == (
        "2 crossings in 6 comparisons of two backends along one size; 2 of them change which backend is "
        "the fastest of all."
    )
    assert found.details[0] == (
        "From T ≈ 32 on torch is faster than numba (B=1): 1.4× behind at T=16, 1.4× ahead at T=64."
    )
    assert found.summary["at"].to_list() == pytest.approx([32.0, 32.0])
    assert found.table is not None
    assert found.table.rows[0] == ("T", "1", "32", "numba", "1.4× at 16", "torch", "1.4× at 64", "yes")


def test_no_crossing_is_an_answer_too(tmp_path: Path) -> None:
    run = run_of(tmp_path, *calls({"numba": lambda t, b: t * b, "torch": lambda t, b: 2.0 * t * b}))
    assert answer("crossover", run).sentence.startswith("Nowhere: ")


def test_the_champion_against_each_peer_and_its_worst_point(tmp_path: Path) -> None:
    times = {
        "numba": lambda t, b: 1.0 * t * b,
        "torch": lambda t, b: (0.5 if (t, b) == (64, 8) else 4.0) * t * b,
        "naive": lambda t, b: 100.0 * t * b,
    }
    run = run_of(tmp_path, *calls(times))
    found = answer("speedups", run)
    mean = math.exp((5 * math.log(4) + math.log(0.5)) / 6)
    assert found.sentence == (
        f"numba, the fastest most often, runs at {mean:.1f}× the speed of torch (at worst 0.50×, no "
        "comparison of them valid) and 100× the speed of naive (at worst 100×, no comparison of them valid) "
        "in the geometric mean."
    )
    assert found.details[0] == (
        "Against torch, over 6 cases: slower at 0.50× in the worst of them (T=64, B=8); of the points, 6 "
        "invalid."
    )
    assert found.details[1].startswith("Against naive, over 6 cases: nowhere slower; the least lead is 100×")
    backwards = found.summary.query("backend == 'torch' and peer == 'numba'")
    assert backwards["speedup"].to_list() == pytest.approx([1 / mean] * 2)
    assert found.table is not None
    assert found.table.rows[0][2:6] == ("torch", "6", f"{mean:.1f}×", "0.50×")


def test_the_matrix_names_mean_and_worst(tmp_path: Path) -> None:
    run = run_of(tmp_path, *calls({"numba": lambda t, b: t, "torch": lambda t, b: 2.0 * t}))
    with style():
        (picture,) = FIGURES["speedups"].draw(run)
    (axes,) = picture.figure.axes
    assert [text.get_text() for text in axes.texts] == ["2.0×, worst 2.0×"]


def test_the_names_of_the_matrix_keep_clear_of_each_other_however_many(tmp_path: Path) -> None:
    items = [
        (replace(case, axes={**case.axes, "cell": cell}), outcome)
        for cell in CELLS
        for case, outcome in calls({"numba": lambda t, b: t, "torch": lambda t, b: 2.0 * t})
    ]
    with style():
        (picture,) = FIGURES["speedups"].draw(run_of(tmp_path, *items))
        picture.figure.draw_without_rendering()
        (axes,) = picture.figure.axes
        for names in (axes.get_xticklabels(), axes.get_yticklabels(), axes.texts):
            boxes = [name.get_window_extent() for name in names]
            assert len(boxes) == (1 if names[0].get_text() == "torch" else len(CELLS))
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_one_backend_has_no_peer(tmp_path: Path) -> None:
    assert SECTIONS["speedups"].answer(run_of(tmp_path, *calls({"numba": lambda t, b: t}))) is None


def test_the_first_call_has_a_column_of_its_own(tmp_path: Path) -> None:
    run = run_of(tmp_path, *calls({"numba": lambda t, b: 1e-3 * t, "torch": lambda t, b: 2e-3 * t}))
    table = answer("throughput", run).table
    assert table is not None
    assert table.columns[-2:] == ("numba, first call", "torch, first call")
    assert table.rows[0][-2:] == ("20.0", "40.0")  # the synthetic first call takes five times the median
