"""Summaries of decay: closed forms give their rate, half-life and horizon, and each verdict its own case."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from harness.gradients import jacobian_decay
from harness.gradients.summary import summarize_decay
from implementations import Parameters

LAGS = np.arange(101)


def scalar(w: float) -> Parameters:
    """h' = w·h."""
    return Parameters(np.zeros((1, 1)), np.full((1, 1), w), np.zeros(1), np.zeros(1))


def forget_gate_alone(bias: float, hidden_size: int = 3) -> Parameters:
    """An LSTM that knows nothing but its forget bias."""
    biases = np.zeros(4 * hidden_size)
    biases[hidden_size : 2 * hidden_size] = bias
    rows = 4 * hidden_size
    return Parameters(np.zeros((rows, 2)), np.zeros((rows, hidden_size)), biases, np.zeros(rows))


@pytest.mark.parametrize("w", [0.99, 0.9, 0.37])
def test_a_scalar_linear_network_falls_at_ln_w(w):
    decay = jacobian_decay("rnn_linear", scalar(w), np.zeros((100, 2, 1)), lags=LAGS)
    found = summarize_decay(decay.lags, decay.log10_spectral_norm["hh"])
    assert found.rate == pytest.approx(np.log(w), rel=1e-10)
    assert found.half_life == pytest.approx(np.log(0.5) / np.log(w), rel=1e-10)
    one, mille = np.log(0.01) / np.log(w), np.log(0.001) / np.log(w)
    assert found.horizon_1_percent == (pytest.approx(one, rel=1e-9) if one <= 100 else None)
    assert found.horizon_1_per_mille == (pytest.approx(mille, rel=1e-9) if mille <= 100 else None)
    assert found.log10_typical == pytest.approx(found.log10_annealed)
    assert found.verdict == ("vanishing" if w < 0.95 else "stable")


def test_an_lstm_of_forget_gates_alone_has_the_half_life_of_its_bias():
    decay = jacobian_decay("lstm", forget_gate_alone(1.0), np.zeros((60, 1, 2)), blocks=("cc", "hc", "hh"))
    found = summarize_decay(decay.lags, decay.log10_spectral_norm["cc"])
    assert found.half_life == pytest.approx(2.2127, abs=5e-5)
    assert found.rate == pytest.approx(np.log(0.7310586), abs=1e-7)
    assert found.verdict == "vanishing"
    # hc is zero at lag 0 and falls like cc afterwards: what counts is the end
    hc = summarize_decay(decay.lags, decay.log10_spectral_norm["hc"])
    assert hc.rate == pytest.approx(found.rate, rel=1e-9)
    assert 0 < hc.horizon_1_percent < found.horizon_1_percent
    hh = summarize_decay(decay.lags, decay.log10_spectral_norm["hh"])
    assert hh.zero_from == 1
    assert hh.rate == -np.inf
    assert hh.half_life == 0.0
    assert hh.verdict == "vanishing"
    assert "exactly zero from lag 1" in hh.rule


def test_log_spaced_lags_give_the_rate_of_all_lags():
    curve = np.where(LAGS < 50, -0.01 * LAGS, -0.5 - 0.05 * (LAGS - 50))
    some = np.unique(np.rint(np.geomspace(1, 100, 40)).astype(int))
    every, spaced = summarize_decay(LAGS, curve), summarize_decay(some, curve[some])
    assert spaced.rate == pytest.approx(every.rate, rel=0.1)


def test_explosion_and_stability_are_told_by_the_lags_observed():
    assert summarize_decay(LAGS, 0.03 * LAGS).verdict == "exploding"
    assert summarize_decay(LAGS, 0.0 * LAGS).verdict == "stable"
    slow = -0.01  # log10 per step: a tenth over 100 lags, a hundred-thousandth over 500
    assert summarize_decay(LAGS, slow * LAGS).verdict == "stable"
    assert summarize_decay(np.arange(501), slow * np.arange(501)).verdict == "vanishing"
    growing = summarize_decay(LAGS, 0.03 * LAGS)
    assert growing.half_life is None
    assert growing.horizon_1_percent is None
    assert "100 or more at lag 100" in growing.rule
    assert "has not changed a hundredfold" in summarize_decay(LAGS, slow * LAGS).rule


def test_the_interval_is_over_seeds_and_the_verdict_asks_for_all_of_it():
    rates = np.array([-0.10, -0.12, -0.11])
    curves = (rates[None, :] * LAGS[:, None] / np.log(10))[:, None, :]
    found = summarize_decay(LAGS, curves)
    half = 4.302653 * rates.std(ddof=1) / np.sqrt(3)
    assert found.rate == pytest.approx(-0.11)
    assert (found.rate_low, found.rate_high) == pytest.approx((-0.11 - half, -0.11 + half), rel=1e-6)
    assert found.verdict == "vanishing"
    wide = summarize_decay(LAGS, (np.array([-0.3, 0.1])[None, :] * LAGS[:, None])[:, None, :])
    assert wide.rate == pytest.approx(-0.1 * np.log(10))
    assert wide.verdict == "undecided"
    assert "on both sides of 0, yet the median norm stays at or below 1 % from lag" in wide.rule
    narrow = summarize_decay(LAGS, (np.array([-0.01, 0.01])[None, :] * LAGS[:, None])[:, None, :])
    assert narrow.verdict == "stable"
    assert "on both sides of 0, and the median norm has not changed a hundredfold" in narrow.rule


@pytest.mark.parametrize(
    ("slopes", "rule"),
    [
        ([-0.5, 0.02], "both sides of 0, yet the median norm stays at or below 1 % from lag 8.33 on"),
        ([-0.02, 0.5], "both sides of 0, yet the median norm is 100 or more at lag 100"),
    ],
)
def test_a_norm_that_changed_is_never_called_stable(slopes, rule):
    """However uncertain the rate is: nothing reached, or everything did, and that is no stability."""
    found = summarize_decay(LAGS, (np.array(slopes)[None, :] * LAGS[:, None])[:, None, :])
    assert found.verdict == "undecided"
    assert rule in found.rule


def test_rate_and_norm_that_contradict_each_other_decide_nothing():
    falling = summarize_decay([1, 2, 3], [4.0, 3.5, 3.0])
    assert falling.verdict == "undecided"
    assert "below 0, yet the median norm is 100 or more at lag 3" in falling.rule
    rising = summarize_decay([1, 2, 3], [-9.0, -8.5, -8.0])
    assert rising.verdict == "undecided"
    assert "above 0, yet the median norm stays at or below 1 % from lag 1 on" in rising.rule
    flat = summarize_decay([1, 2, 3], [-9.0, -9.0, -9.0])
    assert (flat.verdict, flat.rate) == ("undecided", 0.0)


def test_what_is_but_rounding_is_zero_and_has_no_interval_in_words():
    slopes = np.array([8e-19, -2e-18, 9e-18])
    found = summarize_decay(LAGS, (slopes[None, :] * LAGS[:, None])[:, None, :])
    assert (found.rate, found.rate_low, found.rate_high) == (0.0, 0.0, 0.0)
    assert found.half_life is None
    assert found.rule == (
        "the rate is 0 but for rounding, and the median norm has not changed a hundredfold by lag 100"
    )


def test_samples_that_died_are_told_beside_a_median_that_lives():
    curves = np.zeros((len(LAGS), 4, 3))
    curves[50:, 0, :] = curves[70:, 1, 0] = -np.inf
    found = summarize_decay(LAGS, curves)
    assert (found.verdict, found.zeros, found.observed) == ("stable", 4, 12)
    assert found.rule.endswith("by lag 100, where 4 of 12 norms are exactly zero")
    alive = summarize_decay(LAGS, np.zeros((len(LAGS), 4, 3)))
    assert alive.zeros == 0
    assert "exactly zero" not in alive.rule


def test_a_fast_fall_that_ends_on_a_plateau_has_vanished_all_the_same():
    curve = np.maximum(-0.1 * LAGS, -3.0 - 0.001 * LAGS)
    found = summarize_decay(LAGS, curve)
    assert found.horizon_1_percent == pytest.approx(20.0)
    assert found.verdict == "vanishing"


def test_samples_of_one_seed_make_no_interval():
    found = summarize_decay(LAGS, np.outer(LAGS, [-0.1, -0.2, -0.3]))
    assert np.isnan([found.rate_low, found.rate_high]).all()
    assert found.seeds == 1
    assert found.rate == pytest.approx(-0.2 * np.log(10))


def test_typical_and_annealed_means_part_where_few_samples_carry_the_average():
    found = summarize_decay([0, 1], [[0.0, 0.0], [0.0, -6.0]])
    assert found.log10_typical == pytest.approx([0.0, -3.0])
    assert found.log10_annealed == pytest.approx([0.0, np.log10(0.5000005)])
    dead = summarize_decay([0, 1], [[0.0, 0.0], [0.0, -np.inf]])
    assert dead.log10_typical[1] == -np.inf
    assert dead.log10_annealed[1] == pytest.approx(np.log10(0.5))
    huge = summarize_decay([0, 1], [[0.0, 0.0], [500.0, 500.0]])
    assert huge.log10_annealed[1] == pytest.approx(500.0)


def test_the_horizon_is_where_the_norm_stays_below():
    # transient growth, and a second rise above one percent
    found = summarize_decay([0, 1, 2, 3, 4], [0.0, 1.0, -3.0, -1.0, -3.0])
    assert found.horizon_1_percent == pytest.approx(3.5)
    assert summarize_decay([0, 1, 2], [0.0, -3.0, -1.0]).horizon_1_percent is None


def test_lags_that_were_not_observed_are_left_out():
    curve = np.column_stack([-0.1 * LAGS, np.where(LAGS <= 40, -0.1 * LAGS, np.nan)])
    found = summarize_decay(LAGS, curve)
    assert found.rate == pytest.approx(-0.1 * np.log(10))
    assert np.isfinite(found.log10_typical).all()


@pytest.mark.parametrize(
    ("lags", "norms", "words"),
    [
        ([], [], "L >= 1"),
        ([0, 1], [0.0], "L = 2"),
        ([1, 0], [0.0, 0.0], "increase"),
        ([0, 1], [0.0, np.inf], "+inf"),
        ([0, 1], [np.nan, np.nan], "NaN alone"),
    ],
)
def test_what_is_no_curve_is_refused(lags, norms, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        summarize_decay(lags, norms)


def test_one_lag_has_no_rate():
    found = summarize_decay([0], [0.0])
    assert np.isnan(found.rate)
    assert found.verdict == "stable"
    assert "no rate" in found.rule
    gone = summarize_decay([59], [-26.6])
    assert gone.verdict == "undecided"
    assert "no rate could be fitted, yet the median norm stays at or below 1 % from lag 59 on" in gone.rule


def test_importing_summaries_loads_numpy_alone():
    code = (
        "import sys, harness.gradients.summary\n"
        "heavy = [m for m in ('torch', 'numba', 'matplotlib', 'scipy', 'pandas') if m in sys.modules]\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
