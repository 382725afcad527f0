"""The gain map: rates by gain, and where theory sees χ = 1."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.gradients import edge_of_chaos_gain, tanh_mean_field
from harness.outcome import Unsupported
from harness.studies.gain_map import fitted_lags
from tests.harness.studying import SMALL, measure, measured

LARGE = {"seq_len": [150], "hidden_size": [100], "batch_size": 1, "seed": [0]}


def rate(found) -> float:
    rows = pd.DataFrame(found.columns).astype(float)
    return np.polyfit(rows["lag"], rows["log10_spectral_norm"] * np.log(10), 1)[0]


def test_lags_leave_the_transient_out_and_reach_the_end() -> None:
    lags = fitted_lags(100)
    assert (lags[0], lags[-1], len(lags)) == (20, 100, 12)
    assert fitted_lags(1).tolist() == [0, 1]


def test_a_linear_network_grows_by_its_gain() -> None:
    found = measured("gain_map", cell=["rnn_linear"], initialization=["orthogonal"], gain=[1.2], **SMALL)
    assert rate(found) == pytest.approx(np.log(1.2))
    assert found.facts["chi"] == pytest.approx(1.44)
    assert found.facts["mean_field_exponent"] == pytest.approx(np.log(1.2))
    assert found.facts["critical_gain"] == pytest.approx(1.0)


def test_a_tanh_network_crosses_where_theory_says() -> None:
    """Below the χ = 1 line the gradient vanishes, above it explodes."""
    rates = {}
    for gain in (1.5, 2.4):
        found = measured("gain_map", cell=["rnn_tanh"], initialization=["gaussian"], gain=[gain], **LARGE)
        critical = found.facts["critical_gain"]
        assert 1.5 < critical < 2.4
        rates[gain] = rate(found)
        assert rates[gain] == pytest.approx(found.facts["mean_field_exponent"], abs=0.05)
    assert rates[1.5] < 0 < rates[2.4]


def test_the_input_moves_the_line() -> None:
    """Facts are the theory's at this draw's gain and input variance; without input the line is at g = 1."""
    loud, silent = (
        measured(
            "gain_map", cell=["rnn_tanh"], initialization=["orthogonal"], gain=[2.0], input_scale=[s], **LARGE
        ).facts
        for s in (1.0, 0.0)
    )
    assert silent["input_variance"] == 0.0
    assert silent["critical_gain"] == pytest.approx(1.0)
    assert loud["input_variance"] == pytest.approx(1.0, rel=0.1)
    assert loud["chi"] == pytest.approx(tanh_mean_field(2.0, loud["input_variance"]).chi)
    assert loud["critical_gain"] == pytest.approx(edge_of_chaos_gain(loud["input_variance"]))


def test_relu_has_its_line_at_the_square_root_of_two() -> None:
    facts = measured("gain_map", cell=["rnn_relu"], initialization=["orthogonal"], gain=[2.0], **SMALL).facts
    assert facts["critical_gain"] == pytest.approx(np.sqrt(2))
    assert facts["chi"] == pytest.approx(2.0)


@pytest.mark.parametrize(("cell", "start"), [("lstm", "gaussian"), ("rnn_tanh", "identity")])
def test_where_the_theory_does_not_apply_there_is_none(cell: str, start: str) -> None:
    facts = measured("gain_map", cell=[cell], initialization=[start], gain=[1.0], **SMALL).facts
    assert set(facts.values()) == {None}


def test_closed_units_make_exact_zeros() -> None:
    """Diagonal weights: a ReLU that closes once stops its unit's gradient for good."""
    axes = {**LARGE, "hidden_size": [64], "batch_size": 2}
    found = measured("gain_map", cell=["rnn_relu"], initialization=["identity"], gain=[0.5], **axes)
    assert set(found.columns["log10_spectral_norm"]) == {-np.inf}


def test_a_divergence_is_unsupported_with_its_step() -> None:
    found = measure("gain_map", cell=["rnn_linear"], gain=[1e40], initialization=["orthogonal"], **SMALL)
    assert isinstance(found, Unsupported)
    assert "at step t = 9" in found.reason
