"""The language-model study, on a text that a small network can learn, and what the report says of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.case import Case
from harness.errors import UserError
from harness.initializations import initialize
from harness.outcome import Measured, Unsupported
from harness.report import write_report
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS
from harness.studies import language_model, training_record
from harness.training.batches import streams
from harness.training.model import SequenceModel
from implementations.registry import CELLS
from tests.harness.studying import measure, measured, points
from tests.report.synthetic import write_run

TINY: dict[str, Any] = {
    "backend": ["numpy"], "cell": ["gru"], "seq_len": [12], "hidden_size": [8], "input_size": 4,
    "batch_size": 16, "steps": 40, "evaluations": 2, "learning_rate": [0.03], "orders": 3,
}  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    path = tmp_path / "corpus.txt"
    path.write_text("abcabd" * 300, encoding="utf-8")
    return str(path)


def test_rows_of_network_and_counts(corpus: str) -> None:
    found = measured("language_model", corpus=corpus, **TINY)
    rows = pd.DataFrame(found.columns)
    read = rows[rows["quantity"] == "held_out"]
    assert read["step"].tolist() == [0, 20, 40]
    assert read["bits_per_character"].iloc[0] == pytest.approx(np.log2(4), abs=1e-6)
    assert read["bits_per_character"].iloc[-1] == found.facts["final_bits_per_character"] < 1.2
    counts = rows[rows["quantity"] == "ngram"]
    assert counts["order"].tolist() == [1, 2, 3]
    # after "ab" comes c or d, else all is certain: a third of a bit, and a little for what was never seen
    assert 1 / 3 < counts["bits_per_character"].iloc[2] < 0.45
    assert found.facts["memory_bytes_of_network"] == 4 * (4 * 4 + 24 * 4 + 24 * 8 + 48 + 4 * 8 + 4)
    assert len(str(found.facts["said"])) == 240
    assert set(str(found.facts["said"])) <= set("abcd")


def test_what_is_held_out_is_learned_from_by_nobody(tmp_path: Path) -> None:
    """Its last tenth is of other characters: whoever had seen it would foretell them."""
    path = tmp_path / "two.txt"
    path.write_text("ab" * 900 + "cd" * 100, encoding="utf-8")
    found = measured("language_model", corpus=str(path), **TINY)
    assert found.facts["learned_characters"] == 1800
    assert found.facts["held_out_characters"] == 192  # 32 streams of 6, a character predicted from another
    rows = pd.DataFrame(found.columns)
    learned = rows[rows["quantity"] == "learned"]["bits_per_character"].to_numpy(float)
    assert learned[0] == pytest.approx(2.0, abs=1e-6)
    assert learned[-1] < 1.2
    assert found.facts["final_bits_per_character"] > 3.0
    assert (rows[rows["quantity"] == "ngram"]["bits_per_character"] > 3.0).all()


def test_a_text_of_one_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "same.txt"
    path.write_text("a" * 5000, encoding="utf-8")
    with pytest.raises(UserError, match=r"one character repeated; expected at least 2 different .*; got 'a'"):
        measured("language_model", corpus=str(path), **TINY)


def test_the_settings_reach_the_training(corpus: str) -> None:
    axes = {**TINY, "cell": ["lstm"], "steps": 4}
    bits = [
        measured("language_model", corpus=corpus, **{**axes, **more}).facts["final_bits_per_character"]
        for more in ({}, {"forget_bias": [3.0]}, {"threshold": 1e-20})
    ]
    assert len(set(bits)) == 3
    assert bits[2] == pytest.approx(2.0, abs=1e-6)  # gradients clipped to nothing


def test_reading_what_is_held_out_is_no_time_of_training(
    corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second with each loss that is only read."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    loss = SequenceModel.loss

    def slow(model: SequenceModel, batch: Any) -> float:
        clock.now += 1.0
        return loss(model, batch)

    monkeypatch.setattr(training_record, "time", clock)
    monkeypatch.setattr(SequenceModel, "loss", slow)
    assert measured("language_model", corpus=corpus, **TINY).facts["training_seconds"] == 0.0
    assert clock.now == 3.0


def test_what_the_first_pass_takes_longer_is_no_time_of_training(
    corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a hundred seconds in the first pass, by one in every other, by a thousand
    in each look at W_hh."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    act, passes, radius = SequenceModel.loss_and_gradients, [], training_record.recurrent_radius

    def compiling(model: SequenceModel, batch: Any) -> Any:
        clock.now += 1.0 if passes else 100.0
        passes.append(batch)
        return act(model, batch)

    def looking(cell: str, weight_hh: Any) -> float | None:
        clock.now += 1000.0
        return radius(cell, weight_hh)

    plain = measured("language_model", corpus=corpus, **TINY)
    monkeypatch.setattr(training_record, "time", clock)
    monkeypatch.setattr(SequenceModel, "loss_and_gradients", compiling)
    monkeypatch.setattr(language_model, "recurrent_radius", looking)
    found = measured("language_model", corpus=corpus, **TINY)
    assert found.facts["training_seconds"] == 40.0
    assert [s for s in found.columns["seconds"] if s is not None] == [0.0, 20.0, 40.0]
    assert clock.now == 100.0 + 40.0 + 1.0 + 40 * 1000.0  # and a look at what came of the last step
    assert found.columns["bits_per_character"] == plain.columns["bits_per_character"]


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru"])
def test_every_step_has_its_gradient_raw_and_clipped_and_the_radius(corpus: str, cell: str) -> None:
    axes = {**TINY, "cell": [cell], "threshold": 0.05}
    rows = pd.DataFrame(measured("language_model", corpus=corpus, **axes).columns)
    steps = rows[rows["quantity"] == "learned"]
    raw, clipped = (steps[name].to_numpy(float) for name in ("gradient_norm", "clipped_norm"))
    assert len(raw) == 40
    np.testing.assert_allclose(clipped, raw * np.minimum(1.0, 0.05 / (raw + 1e-6)), rtol=1e-6)
    assert (clipped < raw).any()
    radius = steps["spectral_radius"].to_numpy(float)
    assert np.isfinite(radius).all()
    assert len(set(radius)) > 20
    assert rows[rows["quantity"] != "learned"]["spectral_radius"].isna().all()
    still = measured("language_model", corpus=corpus, **{**axes, "learning_rate": [1e-30], "steps": 2})
    start = initialize("pytorch_uniform", cell, 4, 8)
    block = start.weight_hh if cell == "rnn_tanh" else CELLS[cell].gate(start.weight_hh, "n")
    found = pd.DataFrame(still.columns)["spectral_radius"].dropna().to_numpy(float)
    np.testing.assert_allclose(found, np.abs(np.linalg.eigvals(block)).max(), rtol=1e-5)


def test_counting_has_its_memory_and_a_lower_bound_of_it(corpus: str) -> None:
    rows = pd.DataFrame(measured("language_model", corpus=corpus, **TINY).columns)
    counts = rows[rows["quantity"] == "ngram"]
    packed, memory = (counts[name].to_numpy(float) for name in ("memory_bytes_packed", "memory_bytes"))
    assert (packed < memory).all()
    assert (packed > 0.1 * memory).all()


@pytest.mark.parametrize("seq_len", [1, 12, 100])
def test_a_text_too_short_for_its_sequences_is_unsupported(tmp_path: Path, seq_len: int) -> None:
    """One character more is enough, also of sequences shorter than what is held out must be."""
    needed = 2 * (max(seq_len, 32) + 1)
    axes = {**TINY, "seq_len": [seq_len], "steps": 1, "evaluations": 1}
    for length in (needed - 1, needed):
        path = tmp_path / f"{length}.txt"
        path.write_text(("ab" * needed)[:length], encoding="utf-8")
        found = measure("language_model", corpus=str(path), **axes)
        if length == needed:
            assert isinstance(found, Measured)
        else:
            assert isinstance(found, Unsupported)
            assert f"too short, {length} characters where this takes at least {needed}" in found.reason


GONE: dict[str, Any] = {
    **TINY, "cell": ["rnn_relu"], "optimizer": "sgd", "learning_rate": [1e15], "threshold": 1e9,
    "evaluations": 40,
}  # fmt: skip


def test_a_training_that_diverged_is_read_in_its_last_good_state_and_says_nothing(corpus: str) -> None:
    facts = measured("language_model", corpus=corpus, **GONE).facts
    at, last = facts["diverged_at_step"], facts["last_good_step"]
    assert isinstance(last, int)
    assert 0 < last < at <= 40
    assert facts["said"] is None
    shorter = measured("language_model", corpus=corpus, **{**GONE, "steps": last, "evaluations": 1})
    assert shorter.facts["diverged_at_step"] is None
    assert facts["final_bits_per_character"] == shorter.facts["final_bits_per_character"]
    rows = pd.DataFrame(measured("language_model", corpus=corpus, **GONE).columns)
    assert rows[rows["quantity"] == "held_out"]["step"].max() == last


def test_the_report_calls_nothing_learned_that_diverged(corpus: str, tmp_path: Path) -> None:
    listed = []
    for axes in (GONE, TINY):
        (point,) = points("language_model", **axes)
        listed.append((Case("language_model", point), measured("language_model", corpus=corpus, **axes)))
    facts = listed[0][1].facts
    told = f"diverged at step {facts['diverged_at_step']}"
    both = SECTIONS["language_model"].answer(Run.read(write_run(tmp_path / "both", listed)))
    assert both is not None
    assert both.sentence.startswith("The best network, gru with H=8, takes ")
    (gone,) = (sentence for sentence in both.details if sentence.startswith("rnn_relu"))
    assert told in gone
    assert "learned" not in gone
    assert [who for who, _ in both.quotes] == ["gru with H=8 says"]
    assert both.quotes[0][1] == listed[1][1].facts["said"][:240]
    assert both.table is not None
    assert any(told in cell for row in both.table.rows for cell in row)
    alone = SECTIONS["language_model"].answer(Run.read(write_run(tmp_path / "alone", listed[:1])))
    assert alone is not None
    assert alone.sentence.startswith("Every training diverged; ")
    write_report(tmp_path / "both")
    write_report(tmp_path / "alone")


def test_every_character_is_predicted_once() -> None:
    batch = streams(np.arange(23), 4)
    assert batch.inputs.shape == (5, 4)
    np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
    assert sorted(batch.targets.ravel().tolist()) == list(range(1, 21))
    with pytest.raises(ValueError, match="at least 5 characters, got 4"):
        streams(np.arange(4), 4)


def test_the_report_sets_them_side_by_side(corpus: str, tmp_path: Path) -> None:
    (point,) = points("language_model", **TINY)
    folder = write_run(
        tmp_path / "run", [(Case("language_model", point), measured("language_model", corpus=corpus, **TINY))]
    )
    found = SECTIONS["language_model"].answer(Run.read(folder))
    assert found is not None
    assert found.sentence.startswith("The best network, gru with H=8, takes ")
    assert "the best counting model, of order 3, takes " in found.sentence
    assert found.table is not None
    assert [row[0] for row in found.table.rows] == ["gru", *(f"counting, order {n}" for n in (1, 2, 3))]
    write_report(folder)
    assert (folder / "figures" / "language_model.png").stat().st_size > 10_000


def test_of_many_characters_counting_ends_where_they_can_no_longer_be_numbered(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 700))) * 3, encoding="utf-8")
    axes = {**TINY, "steps": 2, "orders": 7}
    found = measured("language_model", corpus=str(path), **axes)
    rows = pd.DataFrame(found.columns)
    assert rows[rows["quantity"] == "ngram"]["order"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found.facts["highest_order"] == 6
    (point,) = points("language_model", **axes)
    run = Run.read(write_run(tmp_path / "run", [(Case("language_model", point), found)]))
    answer = SECTIONS["language_model"].answer(run)
    assert answer is not None
    assert answer.table is not None
    words = (
        "Counting ends at order 6: of 700 different characters, sequences of 7 are too many to be numbered"
    )
    assert words in answer.table.caption
    with style():
        (picture,) = FIGURES["language_model"].draw(run)
    assert words in picture.caption


def test_where_all_orders_are_counted_nothing_is_said_of_it(corpus: str, tmp_path: Path) -> None:
    found = measured("language_model", corpus=corpus, **TINY)
    assert found.facts["highest_order"] == 3
    (point,) = points("language_model", **TINY)
    answer = SECTIONS["language_model"].answer(
        Run.read(write_run(tmp_path / "run", [(Case("language_model", point), found)]))
    )
    assert answer is not None
    assert answer.table is not None
    assert "63 bits" not in answer.table.caption


def test_cells_with_and_without_a_forget_bias_are_drawn_beside_each_other(
    corpus: str, tmp_path: Path
) -> None:
    listed = []
    for axes in (TINY, {**TINY, "cell": ["lstm"], "forget_bias": [1.0]}):
        (point,) = points("language_model", **axes)
        listed.append((Case("language_model", point), measured("language_model", corpus=corpus, **axes)))
    with style():
        (picture,) = FIGURES["language_model"].draw(Run.read(write_run(tmp_path / "run", listed)))
    assert set(picture.data["cell"]) == {"gru", "lstm"}
    along = picture.figure.axes[1]
    assert [len(line.get_xdata()) > 1 for line in along.get_lines()][:2] == [True, True]
