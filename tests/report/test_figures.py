"""Every figure shows what was measured, all of it that fits, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from harness.case import Case
from harness.outcome import Unsupported
from harness.report.drawing import lines, looks, style
from harness.report.frames import Run
from harness.report.pictures import FIGURES, Picture
from harness.report.questions import SECTIONS
from harness.report.ticks import decade, plain_power, thousands
from tests.report import synthetic
from tests.report.synthetic import write_run


@pytest.fixture(scope="module")
def pictures(run: Run) -> dict[str, Picture]:
    with style():
        return {picture.name: picture for kind in FIGURES.values() for picture in kind.draw(run)}


def texts(picture: Picture) -> Iterator[str]:
    return (text.get_text() for text in picture.figure.findobj(Text))


@pytest.mark.parametrize("y", [[], [math.nan, -math.inf]])
def test_of_nothing_finite_there_is_no_line_and_no_warning(y: list[float]) -> None:
    """pytest makes an error of a warning."""
    data = pd.DataFrame({"x": range(len(y)), "y": pd.Series(y, dtype=float), "cell": ["gru"] * len(y)})
    axes = Figure().add_subplot()
    with style():
        lines(axes, data, x="x", y="y", name="cell", palette=looks(["gru", "lstm"]))
    assert len(axes.get_lines()) == 0


def test_every_figure_that_the_report_promises(pictures: dict[str, Picture]) -> None:
    assert set(pictures) == {
        *("throughput_inference", "throughput_training", "speedup_inference", "speedup_training", "speedups"),
        *("parity_float32", "parity_float64", "memory_inference", "memory_training"),
        *("decay_by_cell", "decay_by_initialization", "decay_by_inputs", "lstm_blocks"),
        *("clipping", "clipping_parameters"),
    }


def test_every_figure_belongs_to_a_section() -> None:
    assert {kind.question for kind in FIGURES.values()} <= set(SECTIONS)


def test_no_panel_is_empty_and_every_axis_says_what_it_is(pictures: dict[str, Picture]) -> None:
    for name, picture in pictures.items():
        for axes in picture.figure.axes:
            assert axes.has_data(), name
        labelled = [axes for axes in picture.figure.axes if axes.get_xlabel()]
        assert labelled, name
        assert not picture.data.empty


def test_no_text_holds_an_unparsed_formula(pictures: dict[str, Picture]) -> None:
    for picture in pictures.values():
        assert not [text for text in texts(picture) if "$" in text or "mathdefault" in text]


def test_a_missing_comparison_is_hatched_and_never_a_number(pictures: dict[str, Picture]) -> None:
    picture = pictures["speedup_training"]
    naive = next(axes for axes in picture.figure.axes if axes.get_title() == "naive")
    words = [text.get_text() for text in naive.texts]
    absent = picture.data.query("backend == 'naive'")["speedup"].isna().sum()
    rows, columns = 6, 2
    measured = len(picture.data.query("backend == 'naive'")) - absent
    # torch ran the open case's neighbours everywhere, so that what naive lacks is all that is missing
    assert words.count("n/a") == rows * columns - measured
    assert "0×" not in words
    hatched = [patch for patch in naive.patches if patch.get_hatch()]
    assert len(hatched) == words.count("n/a")


def test_a_backend_that_measured_nothing_is_named_and_has_no_panel(pictures: dict[str, Picture]) -> None:
    picture = pictures["speedup_inference"]
    assert "cudnn" not in {axes.get_title() for axes in picture.figure.axes}
    assert "Nowhere measured beside torch: cudnn." in picture.caption


def test_a_backend_keeps_its_colour(run: Run, pictures: dict[str, Picture]) -> None:
    palette = looks(run.backends)
    for name in ("throughput_inference", "memory_training", "parity_float32"):
        (legend,) = pictures[name].figure.legends
        handles = {handle.get_label(): handle for handle in legend.legend_handles}
        for backend in ("naive", "numba", "torch"):
            assert mpl.colors.same_color(handles[backend].get_color(), palette[backend].color)


def test_lines_of_different_sizes_are_never_joined(pictures: dict[str, Picture]) -> None:
    for name in ("throughput_inference", "memory_inference"):
        for axes in pictures[name].figure.axes:
            for line in axes.get_lines():
                x = np.asarray(line.get_xdata(), dtype=float)
                assert len(x) == len(np.unique(x)), (name, axes.get_title())


def test_the_decay_figure_shows_medians_band_and_bound(pictures: dict[str, Picture]) -> None:
    data = pictures["decay_by_cell"].data
    assert (data["log10_low"] <= data["log10_median"]).all()
    assert (data["log10_median"] <= data["log10_high"]).all()
    bounded = data.dropna(subset=["log10_bound"])
    assert set(bounded["cell"]) == {"rnn_tanh"}
    labels = {h.get_label() for h in pictures["decay_by_cell"].figure.legends[0].legend_handles}
    assert {"lstm", "rnn_tanh", "lstm, forget bias 2", "bound (same colour)"} <= labels


def test_an_lstm_without_other_cells_has_five_blocks(pictures: dict[str, Picture]) -> None:
    assert set(pictures["lstm_blocks"].data["block"]) == {"hh", "hc", "ch", "cc", "ss"}
    assert set(pictures["lstm_blocks"].data["cell"]) == {"lstm"}


def test_clipping_shows_both_sides(pictures: dict[str, Picture]) -> None:
    data = pictures["clipping"].data
    state = data[(data["place"] == "state") & (data["cell"] == "rnn_tanh")]
    assert (state["log10_median_clipped"] <= np.log10(state["threshold"]) + 1e-12).all()
    labels = {h.get_label() for h in pictures["clipping"].figure.legends[0].legend_handles}
    assert labels == {"unclipped", "threshold 0.1", "threshold 1", "threshold 10"}


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    studies = ("throughput", "parity", "memory", "gradient_decay", "clipping")
    listed = [(Case(study, {"backend": "cudnn"}), Unsupported("no device")) for study in studies]
    run = Run.read(write_run(tmp_path, listed))
    with style():
        assert [picture for kind in FIGURES.values() for picture in kind.draw(run)] == []


def test_too_many_panels_are_left_out_and_said(tmp_path: Path) -> None:
    batches = (1, 2, 4, 8, 16, 32, 64, 128)
    listed = [i for i in synthetic.throughput((16,), batches, 1) if i[0].axes["pass"] == "inference"]
    run = Run.read(write_run(tmp_path, listed))
    with style():
        (picture,) = FIGURES["throughput"].draw(run)
    assert len(picture.figure.axes) == 15  # five settings of three cells
    assert "3 further settings in tables/throughput_summary.csv" in picture.caption


def test_the_style_does_not_leak() -> None:
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["svg.hashsalt"] == "rnn-harness"
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(("exponent", "text"), [(0, "1"), (1, "10"), (-20, "10⁻²⁰"), (5, "10⁵")])
def test_decades(exponent: float, text: str) -> None:
    assert decade(exponent) == text


def timed_at(backend: str, cell: str, seq_len: int, batch_size: int) -> synthetic.Item:
    axes = synthetic.sizes(backend, cell, seq_len, batch_size) | {"pass": "training"}
    return Case("throughput", axes), synthetic.timed(1e-3 * seq_len, seq_len)


def test_a_setting_of_one_length_leaves_its_room_to_those_of_more(tmp_path: Path) -> None:
    """And cells that one setting lacks take no room from the next."""
    long = [timed_at("torch", cell, t, b) for cell in ("gru", "lstm") for t in (8, 64) for b in (1, 2, 3)]
    short = [timed_at("torch", cell, 8, 4) for cell in ("gru", "lstm", *(f"lstm_{i}" for i in range(9)))]
    with style():
        (picture,) = FIGURES["throughput"].draw(Run.read(write_run(tmp_path, [*long, *short])))
    assert len(picture.figure.axes) == 6
    assert set(picture.data["batch_size"]) == {1, 2, 3}
    assert "1 further setting in" in picture.caption


def test_the_heat_map_has_no_column_of_lengths_that_nothing_was_compared_at(tmp_path: Path) -> None:
    both = [timed_at(name, "gru", t, 1) for name in ("torch", "numba") for t in (8, 64)]
    alone = [timed_at("numba", "lstm_peephole", 100, 1)]
    with style():
        (picture,) = FIGURES["speedup"].draw(Run.read(write_run(tmp_path, [*both, *alone])))
    ticks = [text.get_text() for text in picture.figure.axes[0].get_xticklabels()]
    assert ticks == ["8", "64"]
    assert set(picture.data["cell"]) == {"gru"}


def test_bars_over_many_decades_do_not_set_the_axis_of_throughput(tmp_path: Path) -> None:
    """Of two processes that differ twentyfold the interval of the mean reaches over tens of decades."""
    items = [
        (Case("throughput", case.axes, replicate), synthetic.timed(1e-3 * 20**replicate, 8))
        for replicate in range(2)
        for case, _ in [timed_at(name, "gru", 8, 1) for name in ("torch", "numba")]
    ]
    with style():
        (picture,) = FIGURES["throughput"].draw(Run.read(write_run(tmp_path, items)))
    low, high = picture.figure.axes[0].get_ylim()
    assert high / low == pytest.approx(4.0)
    assert picture.caption.endswith("processes, cut off where they run out of the frame.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.001, "0.001"), (0.3, "0.3"), (1.5, "1.5"), (10_000.0, "10,000")),
        *((1e-4, "10⁻⁴"), (1e-6, "10⁻⁶"), (1e5, "10⁵"), (2e-4, "2.0·10⁻⁴")),
    ],
)
def test_ticks_are_plain_digits_near_one_and_powers_of_ten_far_from_it(value: float, text: str) -> None:
    assert plain_power(value) == text


def test_no_tick_mixes_two_ways_of_writing_large_numbers() -> None:
    assert [thousands(value) for value in (1e-9, 0.5, 1500.0, 2e6, 3e9, 1e15)] == [
        "10⁻⁹", "0.5", "1.5k", "2M", "3G", "10¹⁵",
    ]  # fmt: skip
