"""The study of spectra: its rows, and a lag that does not exist."""

from __future__ import annotations

import numpy as np

from harness.outcome import Unsupported
from tests.harness.studying import SMALL, measure, measured, points


def test_every_lag_is_a_case_of_its_own() -> None:
    assert [p["lag"] for p in points("spectra", cell=["lstm"], lag=[1, 3, 9], **SMALL)] == [1, 3, 9]


def test_singular_values_of_an_orthogonal_linear_network_are_gain_to_the_lag() -> None:
    found = measured(
        "spectra", cell=["rnn_linear"], initialization=["orthogonal"], gain=[0.5], lag=[7], **SMALL
    )
    assert set(found.columns) == {"sample", "index", "log10_singular_value"}
    assert found.columns["index"] == [1, 2, 3, 4, 5] * 2
    assert found.columns["sample"] == [0] * 5 + [1] * 5
    np.testing.assert_allclose(found.columns["log10_singular_value"], 7 * np.log10(0.5), atol=1e-12)


def test_an_lstm_has_both_states() -> None:
    assert len(measured("spectra", cell=["lstm"], lag=[3], **SMALL).columns["index"]) == 2 * 10


def test_a_lag_beyond_the_sequence_says_so() -> None:
    found = measure("spectra", cell=["lstm"], lag=[13], **SMALL)
    assert found == Unsupported("lag 13 reaches back beyond the sequence, T = 12")
