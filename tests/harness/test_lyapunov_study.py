"""The study of Lyapunov exponents: averages of one trajectory, and what theory lays over them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.gradients import lyapunov_spectrum
from harness.initializations import initialize
from harness.inputs import make_inputs
from harness.outcome import Unsupported
from harness.studies.lyapunov import running_places
from tests.harness.studying import SMALL, measure, measured

LONG = {**SMALL, "seq_len": [330], "warmup": 10}


def test_the_running_average_reaches_from_ten_steps_to_all() -> None:
    places = running_places(np.arange(1, 331))
    assert (places[0] + 1, places[-1] + 1, len(places)) == (10, 330, 12)
    ratios = (places[1:] + 1) / (places[:-1] + 1)
    assert (np.abs(ratios / ratios.mean() - 1) < 0.1).all()
    assert running_places(np.arange(1, 11)).tolist() == [9]


def test_exponents_of_a_linear_network_are_its_eigenvalues() -> None:
    found = measured("lyapunov", cell=["rnn_linear"], initialization=["gaussian"], gain=[1.3], **LONG)
    rows = pd.DataFrame(found.columns)
    assert rows["steps"].min() < 20
    weight = initialize("gaussian", "rnn_linear", 5, 5, gain=1.3).weight_hh
    exact = np.sort(np.log(np.abs(np.linalg.eigvals(weight))))[::-1]
    last = rows[rows["steps"] == 320]
    np.testing.assert_allclose(last["exponent_theory"], exact, atol=1e-12)
    np.testing.assert_allclose(last["exponent"], exact, atol=0.02)
    np.testing.assert_allclose(last["exponent"].sum(), np.log(np.abs(np.linalg.det(weight))), atol=1e-10)
    first = rows[rows["steps"] == rows["steps"].min()]
    assert np.abs(first["exponent"] - exact).max() > np.abs(last["exponent"].to_numpy() - exact).max()
    assert last["exponent_random_matrix"].is_monotonic_decreasing


def test_the_longest_average_is_the_engines_own() -> None:
    found = measured("lyapunov", cell=["rnn_tanh"], initialization=["orthogonal"], gain=[2.0], **LONG)
    rows = pd.DataFrame(found.columns)
    parameters = initialize("orthogonal", "rnn_tanh", 5, 5, gain=2.0)
    expected = lyapunov_spectrum("rnn_tanh", parameters, make_inputs("noise", 330, 2, 5), warmup=10)
    last = rows[rows["steps"] == 320]
    np.testing.assert_array_equal(last["exponent"], expected.exponents)
    np.testing.assert_array_equal(last["standard_error"].astype(float), expected.standard_error)
    assert found.facts["converged"] == expected.converged
    place = list(expected.running_steps).index(rows["steps"].min())
    np.testing.assert_array_equal(rows["exponent"][:5], expected.running[place])
    assert rows["standard_error"][:5].isna().all()
    assert rows["exponent_theory"].isna().all()
    assert found.facts["effective_gain"] == pytest.approx(2.0)


def test_large_random_network_meets_mean_field() -> None:
    found = measured(
        "lyapunov",
        cell=["rnn_tanh"],
        initialization=["gaussian"],
        gain=[2.5],
        seq_len=[260],
        warmup=60,
        hidden_size=[100],
        batch_size=1,
        seed=[1],
    )
    rows = pd.DataFrame(found.columns)
    largest = rows[(rows["steps"] == 200) & (rows["index"] == 1)]["exponent"].item()
    assert largest == pytest.approx(found.facts["mean_field_exponent"], abs=0.05)


def test_a_warmup_that_leaves_nothing_says_so() -> None:
    found = measure("lyapunov", cell=["lstm"], warmup=5, **SMALL)
    assert isinstance(found, Unsupported)
    assert found.reason == "10 steps after warmup = 5 need a longer T than 12"
