"""The figures of the gradient studies show what was measured, all of it that fits, and nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES, Picture
from tests.report import synthetic_gradients as synthetic
from tests.report.synthetic import Item, write_run

NEW = (
    *("spectra", "condition_number", "lyapunov_spectrum", "lyapunov_convergence", "jacobian_map"),
    *("gain_rates", "gain_map", "training_decay", "training_horizon"),
    *("lstm_cell_path", "time_constants", "decay_by_length"),
)


def drawn(run: Run, name: str) -> Picture:
    with style():
        (picture,) = FIGURES[name].draw(run)
    return picture


def run_of(folder: Path, listed: list[Item]) -> Run:
    return Run.read(write_run(folder, listed))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("gradients") / "run", synthetic.items())


@pytest.fixture(scope="module")
def pictures(run: Run) -> dict[str, Picture]:
    return {name: drawn(run, name) for name in NEW}


@pytest.mark.parametrize("name", NEW)
def test_every_panel_holds_data_and_says_what_it_is(name: str, pictures: dict[str, Picture]) -> None:
    picture = pictures[name]
    for axes in picture.figure.axes:
        assert axes.has_data() or axes.patches
    assert any(axes.get_xlabel() for axes in picture.figure.axes)
    assert not [t for t in picture.figure.findobj(Text) if "$" in t.get_text()]
    assert not picture.data.empty


@pytest.mark.parametrize("name", NEW)
def test_nothing_measured_draws_nothing(name: str, tmp_path: Path) -> None:
    with style():
        assert list(FIGURES[name].draw(run_of(tmp_path, []))) == []


def labels(picture: Picture) -> set[str]:
    return {str(handle.get_label()) for handle in picture.figure.legends[0].legend_handles}


def test_spectra_are_the_formulas(pictures: dict[str, Picture]) -> None:
    data = pictures["spectra"].data
    slope = data["variant"].map({"orthogonal": 1, "gaussian": 2})
    np.testing.assert_allclose(data["log10_median"], -slope * data["lag"] * data["index"] / 100)
    assert {"lag 1", "lag 4", "lag 16"} == labels(pictures["spectra"])
    conditions = pictures["condition_number"].data
    slope = conditions["variant"].map({"orthogonal": 1, "gaussian": 2})
    np.testing.assert_allclose(conditions["log10_condition"], slope * conditions["lag"] * 7 / 100)


def test_exact_zeros_end_a_spectrum_and_are_said(tmp_path: Path) -> None:
    run = run_of(tmp_path, list(synthetic.spectra(zeros=3)))
    assert "Where a line ends, the rest are exactly zero." in drawn(run, "spectra").caption
    picture = drawn(run, "condition_number")
    assert [axes.get_title() for axes in picture.figure.axes] == ["rnn_tanh"]
    assert picture.caption.startswith(
        "Largest over smallest singular value, median over seeds and samples. A point is missing where "
        "singular values are exactly zero, and the panel of rnn_relu, of which all are."
    )


def test_lyapunov_spectrum_has_its_theories(pictures: dict[str, Picture]) -> None:
    picture = pictures["lyapunov_spectrum"]
    assert labels(picture) >= {"exact", "mean field λ₁", "gaussian, gain 0.5", "gaussian, gain 2"}
    assert "random matrices" not in labels(picture)
    linear = picture.data[picture.data["cell"] == "rnn_linear"]
    np.testing.assert_allclose(linear["exponent"] + 0.01, linear["exponent_theory"])
    assert set(picture.data["steps"]) == {40}
    assert set(pictures["lyapunov_convergence"].data["steps"]) == {10, 20, 40}


def test_the_map_leaves_the_future_empty(pictures: dict[str, Picture]) -> None:
    data = pictures["jacobian_map"].data
    assert (data["k"] <= data["t"]).all()
    lag = data["t"] - data["k"]
    odd = (data["inputs"] == "text") & (data["t"] == 30) & (lag > 0)
    np.testing.assert_allclose(data["log10_median"], -lag / 10 - 3 * odd)
    assert len([axes for axes in pictures["jacobian_map"].figure.axes if axes.get_title()]) == 4


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("gain_map", "rate (nats per step)"),
        ("jacobian_map", "spectral norm of the block of ∂sₜ/∂sₖ"),
    ],
)
def test_a_colour_bar_names_its_quantity(pictures: dict[str, Picture], name: str, quantity: str) -> None:
    assert quantity in {axes.get_ylabel() for axes in pictures[name].figure.axes}


def test_the_phase_map_has_a_verdict_in_every_field(pictures: dict[str, Picture]) -> None:
    picture = pictures["gain_map"]
    tanh = next(axes for axes in picture.figure.axes if axes.get_title() == "rnn_tanh")
    signs = [text.get_text() for text in tanh.texts]
    assert len(signs) == len(synthetic.GAINS)
    assert signs[0] == "▽"
    (bar,) = tanh.get_lines()
    assert bar.get_zorder() < min(text.get_zorder() for text in tanh.texts)  # it hides no sign
    # χ = 1 at 1.7: between the centres of 1.5 and 2, on logarithms
    share = math.log(1.7 / 1.5) / math.log(2 / 1.5)
    np.testing.assert_allclose(bar.get_xdata(), 2.5 + share)
    lstm = next(axes for axes in picture.figure.axes if axes.get_title() == "lstm")
    assert not lstm.get_lines()
    assert {text.get_text() for text in lstm.texts} == {"▽"}


def test_rates_are_drawn_with_their_line(pictures: dict[str, Picture]) -> None:
    data = pictures["gain_rates"].data
    tanh = data[data["cell"] == "rnn_tanh"]
    np.testing.assert_allclose(tanh["nats_per_step"], np.log(tanh["gain"] / 1.8), atol=0.001)
    assert {"½ ln χ", "χ = 1", "vanishing"} <= labels(pictures["gain_rates"])


def test_a_gain_without_a_verdict_has_a_sign_of_its_own(pictures: dict[str, Picture], tmp_path: Path) -> None:
    torn = run_of(tmp_path / "run", [*synthetic.gain_map(), *synthetic.torn("gain_map", "gru")])
    assert "undecided" in labels(drawn(torn, "gain_rates"))
    picture = drawn(torn, "gain_map")
    assert "? undecided" in labels(picture)
    gru = next(axes for axes in picture.figure.axes if axes.get_title() == "gru")
    assert {text.get_text() for text in gru.texts} == {"?"}
    assert not any(
        "undecided" in label for name in ("gain_rates", "gain_map") for label in labels(pictures[name])
    )


def test_training_is_shown_before_along_and_after(pictures: dict[str, Picture]) -> None:
    assert labels(pictures["training_decay"]) == {"before", "after 10 steps", "after 100 steps", "1 %"}
    data = pictures["training_horizon"].data
    lstm = data[data["cell"] == "lstm"].set_index("step")
    # the median of −lag/5 and −lag/6 passes −2 at 2/((1/5 + 1/6)/2)
    assert lstm.loc[0, "horizon_1_percent_steps"] == pytest.approx(2 / ((1 / 5 + 1 / 6) / 2))
    assert bool(lstm.loc[100, "beyond"])
    assert lstm.loc[100, "horizon"] == synthetic.T


def test_the_cell_path_meets_its_theory_where_gates_see_biases_alone(pictures: dict[str, Picture]) -> None:
    data = pictures["lstm_cell_path"].data
    alone = data["panel"] == "gates that see their biases alone"
    np.testing.assert_allclose(data["log10_largest"] - data["largest_theory"], np.where(alone, 0.0, 1.0))
    assert {axes.get_title() for axes in pictures["lstm_cell_path"].figure.axes} == set(data["panel"])
    assert set(data["start"]) == {"forget bias 0", "forget bias 1", "forget bias 3"}


def test_a_power_law_is_named_by_its_exponent_and_range(pictures: dict[str, Picture]) -> None:
    picture = pictures["time_constants"]
    assert "biases alone (gain 0.001): what a step writes falls as lag^−1.0 from 2 to 10" in picture.caption
    assert {"chrono, t_max 100", "forget bias 0.5", "lag^(−1/2)"} <= labels(picture)
    assert len(picture.figure.axes) == 4
    data = picture.data
    assert (data["lag"] > 0).all()
    written = data[data["path"] == "written"]
    np.testing.assert_allclose(written.loc[written["lag"] == 1, "log10_rms"], 0.0)
    kept = data[(data["path"] == "kept") & (data["lag"] == 10) & (data["start"] == "chrono, t_max 100")]
    np.testing.assert_allclose(kept["log10_rms"], -0.1)


def test_lengths_share_a_panel(pictures: dict[str, Picture]) -> None:
    picture = pictures["decay_by_length"]
    assert [axes.get_title() for axes in picture.figure.axes] == ["gru, orthogonal"]
    assert {"T = 40", "T = 20", "T = 10"} <= labels(picture)
