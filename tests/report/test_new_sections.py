"""The sentences on the gradient studies are true: each is held against the formulas of the run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report.frames import Run
from harness.report.questions import SECTIONS, Answer
from harness.report.summaries.rates import rate_of
from tests.report import synthetic_gradients as synthetic
from tests.report.synthetic import Item, write_run


def answer(name: str, folder: Path, listed: list[Item]) -> Answer:
    found = SECTIONS[name].answer(Run.read(write_run(folder, listed)))
    assert found is not None
    assert found.table is not None
    assert all(len(row) == len(found.table.columns) for row in found.table.rows)
    return found


def test_spectra(tmp_path: Path) -> None:
    found = answer("spectra", tmp_path, list(synthetic.spectra()))
    even, steep = 10 ** (16 * 7 / 100), 10 ** (32 * 7 / 100)
    assert found.sentence == (
        "After 16 steps rnn_tanh under orthogonal keeps directions most evenly, with a condition number of "
        f"{even:.1f}; rnn_tanh under gaussian least, with {steep:.0f}."
    )
    volume = found.summary.query("lag == 16 and variant == 'orthogonal'")["log_volume"]
    np.testing.assert_allclose(volume, -0.16 * 36 * math.log(10))


def test_spectra_with_exact_zeros(tmp_path: Path) -> None:
    found = answer("spectra", tmp_path, list(synthetic.spectra(zeros=3)))
    assert found.sentence.endswith(
        "rnn_relu under orthogonal least, with ∞ (some singular values are exactly zero)."
    )
    assert any("3 of 8 are exactly zero" in sentence for sentence in found.details)


def test_lyapunov(tmp_path: Path) -> None:
    found = answer("lyapunov", tmp_path, list(synthetic.lyapunov()))
    top, bottom = math.log(2) + 1 / 40, math.log(0.5) + 1 / 40
    assert found.sentence == (
        f"λ₁ is above 0 in 2 of 4 settings, largest for rnn_linear under gaussian, gain 2 with {top:.3f} "
        f"nats per step ({top:.3f} to {top:.3f} over 2 seeds); smallest for rnn_linear under gaussian, gain "
        f"0.5 with {bottom:.3f} nats per step ({bottom:.3f} to {bottom:.3f} over 2 seeds).".replace("-", "−")
    )
    assert any("gives λ₁ to 0.020 nats per step in the median over 2 settings" in s for s in found.details)
    assert any("the largest of 16 deviations is 0.010 nats per step" in s for s in found.details)
    assert found.details[-1] == "Every average passed the test of convergence."


def test_an_average_that_still_moves_is_named(tmp_path: Path) -> None:
    found = answer("lyapunov", tmp_path, list(synthetic.lyapunov(converged=False)))
    assert "rnn_tanh under gaussian, gain 2 (1 of 2)" in found.details[-1]
    assert "over 2 seeds, 1 of them not converged)" in found.sentence


def test_jacobian_map(tmp_path: Path) -> None:
    found = answer("jacobian_map", tmp_path, list(synthetic.jacobian_map()))
    assert found.sentence == (
        "The reach depends most on the place for rnn_tanh under orthogonal, text inputs: over 10 steps the "
        "norm is 1.0·10⁻⁴ from t = 30 and 0.10 from t = 10."
    )
    assert (
        "rnn_tanh under orthogonal, noise inputs: over 10 steps the norm is 0.10 from every t."
        in found.details
    )


def test_gain_map(tmp_path: Path) -> None:
    found = answer("gain_map", tmp_path, list(synthetic.gain_map()))
    below, above = math.log(1.5 / 1.8), math.log(2 / 1.8)
    crossing = 1.5 + 0.5 * -below / (above - below)
    assert found.sentence.startswith(
        "The gradient crosses from vanishing to stable or exploding in 1 of 2 combinations"
    )
    assert f"({crossing:.2f} against 1.70)" in found.sentence
    assert f"within {100 * (crossing / 1.7 - 1):.1f} % of it" in found.sentence
    gap = math.log(1.8 / 1.7)
    assert any(f"at most {gap:.3f} nats per step off" in s for s in found.details)
    assert any(s.startswith("lstm under gaussian is not seen to cross from vanishing") for s in found.details)
    assert any(
        s.startswith("rnn_tanh under gaussian is vanishing up to gain 1.5 and exploding from 3; its rate is")
        for s in found.details
    )
    assert "rule" in found.summary


def test_a_rate_that_passes_zero_among_stable_gains_is_no_crossing(tmp_path: Path) -> None:
    """Scattered rates on either side of zero, and no gain that is vanishing for certain."""
    items = []
    for case, outcome in synthetic.gain_map():
        if case.axes["cell"] == "rnn_tanh" and case.axes["gain"] in (1.5, 2.0):
            assert isinstance(outcome, Measured)
            rate = 0.001 if case.axes["gain"] == 2.0 else -0.001
            spread = 0.01 * (case.axes["seed"] - 0.5)
            norms = [(rate + spread) * lag for lag in outcome.columns["lag"]]
            items.append((case, Measured({**outcome.columns, "log10_spectral_norm": norms}, outcome.facts)))
    found = answer("gain_map", tmp_path, items)
    assert (
        found.sentence
        == "The gradient crosses from vanishing to stable or exploding in none of 1 combination."
    )
    assert found.details[0].startswith("rnn_tanh under gaussian is not seen to cross from vanishing")


def test_training_decay(tmp_path: Path) -> None:
    found = answer("training_decay", tmp_path, list(synthetic.training_decay()))
    changes = [-math.log(10) * (1 / (50 + seed) - 1 / (5 + seed)) for seed in (0, 1)]
    mean = sum(changes) / 2
    half = 12.7062 * abs(changes[0] - changes[1]) / 2
    assert found.sentence == (
        "Of 2 cells and starts training is shown to slow the gradient's decay in 0 and to speed it in 0, and "
        "to lengthen the 1 % horizon in 1 and to shorten it in 1; the rate changed most for lstm under "
        f"orthogonal, by {mean:.3f} (95 % interval {mean - half:.3f} to {mean + half:.3f}, 2 networks) nats "
        "per step in 100 steps.".replace("-", "−")
    )
    assert "beyond 40 steps after 100 steps" in found.details[0]
    assert "4.00 and 2.00 nats per character" in found.details[0]
    assert "‖W_hh‖₂ went from 1.00 to 3.00" in found.details[0]


def test_what_training_changes_is_shown_where_the_paired_interval_excludes_zero(tmp_path: Path) -> None:
    """Seeds far apart, each of which slows by about as much: the difference is certain, the ends are not."""
    items = []
    for seed, before in enumerate((4.0, 8.0, 20.0)):
        rows = [
            ("decay", step, lag, 0, -lag * (1 / before - (0.01 + 1e-4 * seed) * (step > 0)), None)
            for step in (0, 100)
            for lag in range(61)
        ]
        rows += [("held_out_loss", step, None, None, None, 2.0) for step in (0, 100)]
        names = ("quantity", "step", "lag", "sample", "log10_spectral_norm", "loss")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        axes = synthetic.network("gru", "orthogonal", seed, inputs="text", steps=100)
        items.append((Case("training_decay", axes), Measured(columns, {"vocabulary_size": 55})))
    found = answer("training_decay", tmp_path, items)
    assert found.sentence.startswith(
        "Of 1 cell and start training is shown to slow the gradient's decay in 1 and to speed it in 0, and "
        "to lengthen the 1 % horizon in 0 and to shorten it in 0; the rate changed most for gru under "
        "orthogonal, by 0.0233 (95 % interval "
    )
    assert "; paired by the seed the rate by 0.0233 (95 % interval" in found.details[0]
    assert "and the 1 % horizon by" in found.details[0]


def test_decay_rates(tmp_path: Path) -> None:
    found = answer("decay_rates", tmp_path, list(synthetic.lengths()))
    rows = found.summary.set_index("seq_len")
    slopes = -math.log(10) / np.array([10, 11])
    np.testing.assert_allclose(rows["nats_per_step"], slopes.mean())
    half = 12.706 * slopes.std(ddof=1) / math.sqrt(2)
    np.testing.assert_allclose(rows["nats_per_step_low"], slopes.mean() - half, rtol=1e-4)
    np.testing.assert_allclose(rows["half_life_steps"], math.log(2) / -slopes.mean())
    assert np.isnan(rows.loc[20, "horizon_1_percent_steps"])
    assert rows.loc[40, "horizon_1_percent_steps"] == pytest.approx(2 / ((1 / 10 + 1 / 11) / 2))
    # a norm of 1 % lies beyond the shorter two
    assert found.sentence == (
        "Of 3 settings, the verdict is vanishing in 1 and stable in 2; among the vanishing, the gradient "
        "halves every 3.2 steps in gru under orthogonal (noise inputs, T=40)."
    )
    assert "is stable: the rate's 95 % interval" in found.details[0]


def test_a_verdict_that_is_none_is_counted_and_told(tmp_path: Path) -> None:
    """The seeds differ too much for a rate, and yet the norm is gone: neither vanishing nor stable."""
    listed = [*synthetic.lengths(), *synthetic.torn("gradient_decay", "lstm")]
    found = answer("decay_rates", tmp_path, listed)
    assert found.sentence.startswith(
        "Of 5 settings, the verdict is vanishing in 1, stable in 2 and undecided in 2; among"
    )
    assert any("is undecided: the rate's 95 % interval" in detail for detail in found.details)
    assert found.table.rows[-1][-1] == "undecided"


def test_gains_without_a_verdict_have_their_column(tmp_path: Path) -> None:
    columns = ("vanishing at", "stable at", "exploding at")
    found = answer("gain_map", tmp_path / "torn", [*synthetic.gain_map(), *synthetic.torn("gain_map", "gru")])
    assert found.table.columns[-4:] == (*columns, "undecided at")
    assert [row[-1] for row in found.table.rows] == ["–", "–", "1 and 2"]
    found = answer("gain_map", tmp_path / "known", list(synthetic.gain_map()))
    assert found.table.columns[-3:] == columns


def test_a_rate_needs_neither_samples_nor_seeds(tmp_path: Path) -> None:
    import pandas as pd

    rows = pd.DataFrame({"lag": [0, 10, 20], "log10_spectral_norm": [0.0, -1.0, -2.0]})
    found = rate_of(rows)
    assert found is not None
    assert found.rate == pytest.approx(-math.log(10) / 10)
    assert rate_of(rows.iloc[:0]) is None
