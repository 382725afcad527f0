"""Decay before, along and after training: its rows, and the ways in which it cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from harness.case import Case
from harness.errors import UserError
from harness.gradients import jacobian_decay
from harness.initializations import initialize
from harness.inputs import embedding
from harness.outcome import Measured, Unsupported
from harness.report import write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.studies.training_decay import measured_steps
from harness.training.corpora import why_too_short
from implementations.registry import CELLS
from tests.harness.studying import SMALL, measure, measured, points
from tests.report.synthetic import write_run

TINY = {**SMALL, "backend": ["numpy"], "steps": 30, "measurements": 3, "samples": 2}


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    path = tmp_path / "corpus.txt"
    path.write_text("abcde" * 200, encoding="utf-8")
    return str(path)


def test_measurements_are_denser_at_the_start() -> None:
    assert measured_steps(200, 4) == [4, 14, 53, 200]
    assert measured_steps(3, 8) == [1, 2, 3]


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_rows_before_along_and_after(corpus: str, cell: str) -> None:
    found = measured("training_decay", cell=[cell], corpus=corpus, **TINY)
    rows = pd.DataFrame(found.columns)
    decay = rows[rows["quantity"] == "decay"]
    assert decay["step"].unique().tolist() == [0, *measured_steps(30, 3)]
    assert (decay.groupby("step").size() == 13 * 2).all()
    assert decay["loss"].isna().all()
    loss = rows[rows["quantity"] == "loss"]
    assert loss["step"].tolist() == list(range(1, 31))
    held_out = rows[rows["quantity"] == "held_out_loss"]["loss"].to_numpy(float)
    assert (
        held_out[0]
        == pytest.approx(np.log(5), rel=1e-6)
        == pytest.approx(found.facts["uniform_loss"], rel=1e-6)
    )
    assert held_out[-1] < 0.9 * held_out[0]
    start = initialize("pytorch_uniform", cell, 5, 5)
    assert found.facts["weight_norm_before"] == pytest.approx(np.linalg.norm(start.weight_hh, 2))
    assert found.facts["weight_norm_after"] != pytest.approx(found.facts["weight_norm_before"])


def test_the_first_curve_is_the_network_as_it_starts(corpus: str) -> None:
    """Of the linear cell, whose decay no input can move."""
    found = measured("training_decay", cell=["rnn_linear"], corpus=corpus, **TINY)
    rows = pd.DataFrame(found.columns)
    curve = rows[(rows["quantity"] == "decay") & (rows["step"] == 0) & (rows["sample"] == 0)]
    expected = jacobian_decay(
        "rnn_linear", initialize("pytorch_uniform", "rnn_linear", 5, 5), np.zeros((12, 1, 5))
    )
    np.testing.assert_allclose(
        curve["log10_spectral_norm"].astype(float), expected.log10_spectral_norm["hh"][:, 0], atol=1e-5
    )


def test_the_decay_is_on_text_held_out(tmp_path: Path) -> None:
    """Its last tenth is of other characters, which grow the likelier the less they are learned from."""
    path = tmp_path / "two.txt"
    path.write_text("ab" * 900 + "cd" * 100, encoding="utf-8")
    found = measured("training_decay", cell=["rnn_tanh"], corpus=str(path), **TINY)
    rows = pd.DataFrame(found.columns)
    loss = rows[rows["quantity"] == "loss"]["loss"].to_numpy(float)
    held_out = rows[rows["quantity"] == "held_out_loss"]["loss"].to_numpy(float)
    assert loss[-1] < 0.5 * loss[0]
    assert held_out[-1] > held_out[0]
    tokens = np.tile([2, 3], 100)
    windows_at = np.random.default_rng([0, 5]).integers(0, 200 - 13, 16, endpoint=True)
    inputs = embedding(4, 5)[tokens[windows_at + np.arange(12)[:, None]]][:, :2]
    expected = jacobian_decay("rnn_tanh", initialize("pytorch_uniform", "rnn_tanh", 5, 5), inputs)
    first = rows[(rows["quantity"] == "decay") & (rows["step"] == 0)]
    np.testing.assert_allclose(
        first["log10_spectral_norm"].astype(float),
        expected.log10_spectral_norm["hh"].ravel(),
        atol=1e-4,
    )
    assert found.facts["largest_gradient_norm"] > 0.1


def test_gradients_are_clipped(corpus: str) -> None:
    """To nothing, so that nothing is learned."""
    found = measured("training_decay", cell=["gru"], threshold=1e-20, corpus=corpus, **TINY)
    rows = pd.DataFrame(found.columns)
    assert rows["loss"].dropna().to_numpy(float) == pytest.approx(np.log(5), rel=1e-5)


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_every_step_has_its_gradient_raw_and_clipped_and_the_radius(corpus: str, cell: str) -> None:
    axes = {**TINY, "cell": [cell], "threshold": 0.05}
    rows = pd.DataFrame(measured("training_decay", corpus=corpus, **axes).columns)
    steps = rows[rows["quantity"] == "loss"]
    raw, clipped = (steps[name].to_numpy(float) for name in ("gradient_norm", "clipped_norm"))
    assert len(raw) == 30
    np.testing.assert_allclose(clipped, np.minimum(raw, 0.05), rtol=1e-5)
    assert (clipped < raw).any()
    radius = steps["spectral_radius"].to_numpy(float)
    assert np.isfinite(radius).all()
    assert len(set(radius)) > 20
    still = pd.DataFrame(
        measured("training_decay", corpus=corpus, **{**axes, "learning_rate": [1e-30]}).columns
    )
    start = initialize("pytorch_uniform", cell, 5, 5)
    block = start.weight_hh if cell == "rnn_tanh" else CELLS[cell].gate(start.weight_hh, "g")
    expected = np.abs(np.linalg.eigvals(block)).max()
    np.testing.assert_allclose(still["spectral_radius"].dropna().to_numpy(float), expected, rtol=1e-5)


def test_it_is_the_same_twice(corpus: str) -> None:
    first, second = (measured("training_decay", cell=["gru"], corpus=corpus, **TINY) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("rate", [3.0, 1e30])
def test_an_exploded_training_keeps_what_was_recorded_and_its_last_good_state(
    corpus: str, rate: float
) -> None:
    """Whose decay and loss are those with which a training ends that had so many steps."""
    axes = {**TINY, "cell": ["rnn_relu"], "learning_rate": [rate], "threshold": "none", "seq_len": [120]}
    found = measured("training_decay", corpus=corpus, **axes)
    last, at = found.facts["last_good_step"], found.facts["diverged_at_step"]
    assert isinstance(last, int)
    assert isinstance(at, int)
    assert last < at
    rows = pd.DataFrame(found.columns)
    decay = rows[rows["quantity"] == "decay"]
    assert decay["step"].max() == last
    assert np.isfinite(found.facts["weight_norm_after"])
    assert rows[rows["quantity"] == "loss"]["step"].tolist() == list(range(1, at))
    assert np.isfinite(rows["loss"].dropna().to_numpy(float)).all()
    if last > 0:
        shorter = pd.DataFrame(measured("training_decay", corpus=corpus, **{**axes, "steps": last}).columns)
        for quantity, name in (("decay", "log10_spectral_norm"), ("held_out_loss", "loss")):
            ends = [part[(part["quantity"] == quantity) & (part["step"] == last)] for part in (rows, shorter)]
            assert ends[0][name].tolist() == ends[1][name].tolist()


def test_a_training_that_does_not_diverge_says_so(corpus: str) -> None:
    found = measured("training_decay", cell=["gru"], corpus=corpus, **TINY)
    assert (found.facts["diverged_at_step"], found.facts["last_good_step"]) == (None, None)


def test_a_network_that_goes_off_before_its_first_step_is_unsupported(corpus: str) -> None:
    found = measure(
        "training_decay", cell=["rnn_linear"], gain=[1e30], corpus=corpus, **{**TINY, "seq_len": [20]}
    )
    assert isinstance(found, Unsupported)
    assert "the forward pass diverged" in found.reason


def test_the_report_says_who_diverged_and_where(corpus: str, tmp_path: Path) -> None:
    listed = []
    for rate in (0.01, 1e30):
        axes = {**TINY, "cell": ["rnn_relu"], "learning_rate": [rate], "threshold": "none"}
        (point,) = points("training_decay", **axes)
        listed.append((Case("training_decay", point), measured("training_decay", corpus=corpus, **axes)))
    facts = listed[1][1].facts
    found = SECTIONS["training_decay"].answer(Run.read(write_run(tmp_path / "run", listed)))
    assert found is not None
    assert found.sentence.endswith("; 1 of 2 trainings diverged.")
    assert sum("diverged" in sentence for sentence in found.details) == 1
    assert found.details[1].endswith(
        f"; it diverged at step {facts['diverged_at_step']}: what stands after training is its last good "
        f"state, after {facts['last_good_step']} step."
    )
    write_report(tmp_path / "run")


def test_what_takes_too_long_is_not_started(corpus: str) -> None:
    found = measure(
        "training_decay", cell=["lstm"], corpus=corpus, **{**TINY, "hidden_size": [256], "steps": 10**6}
    )
    assert isinstance(found, Unsupported)
    assert "the plan allows max_seconds" in found.reason


@pytest.mark.parametrize(
    ("study", "needed"), [("training_decay", 26), ("gradient_decay", 12), ("depth_decay", 12)]
)
def test_a_text_too_short_is_unsupported(tmp_path: Path, study: str, needed: int) -> None:
    """To learn from and hold out, it takes a sequence and one more character, twice."""
    own = {name: TINY[name] for name in SMALL}
    axes = TINY if study == "training_decay" else {**own, "inputs": ["text"]}
    for length in (needed - 1, needed):
        path = tmp_path / f"{length}.txt"
        path.write_text(("abc" * needed)[:length], encoding="utf-8")
        found = measure(study, cell=["lstm"], corpus=str(path), **axes)
        if length == needed:
            assert isinstance(found, Measured)
        else:
            assert isinstance(found, Unsupported)
            assert f"too short, {length} characters where this takes at least {needed}" in found.reason


def test_a_text_that_grew_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "grows.txt"
    for length, reason in ((11, True), (12, False)):
        path.write_text("ab" * 6 if length == 12 else "ab" * 5 + "a", encoding="utf-8")
        assert (why_too_short(str(path), at_least=12) is not None) == reason


def test_a_text_of_one_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "same.txt"
    path.write_text("a" * 5000, encoding="utf-8")
    with pytest.raises(UserError, match=r"one character repeated; expected at least 2 different .*; got 'a'"):
        measured("training_decay", cell=["gru"], corpus=str(path), **TINY)


def test_only_text_is_trained_on() -> None:
    with pytest.raises(ValidationError, match="unknown inputs 'noise'"):
        points("training_decay", cell=["lstm"], inputs=["noise"], **TINY)
