"""Dimension and entropy of a spectrum, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.gradients import entropy_rate, kaplan_yorke_dimension


@pytest.mark.parametrize(
    ("exponents", "dimension", "entropy"),
    [
        ([-0.1, -0.2], 0.0, 0.0),
        ([0.0, -1.0], 1.0, 0.0),
        ([0.5, -0.25, -1.0], 2.25, 0.5),
        ([0.906, 0.0, -14.572], 2 + 0.906 / 14.572, 0.906),  # the Lorenz attractor's, 2.06
        ([0.3, 0.1], 2.0, 0.4),
        ([0.3, -np.inf], 1.0, 0.3),
        ([-np.inf], 0.0, 0.0),
    ],
)
def test_dimension_and_entropy(exponents: list[float], dimension: float, entropy: float) -> None:
    assert kaplan_yorke_dimension(exponents) == pytest.approx(dimension)
    assert entropy_rate(exponents) == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("exponents", "complaint"),
    [([], "S >= 1"), ([[0.0]], "must be"), ([0.0, 1.0], "descend"), ([0.0, np.nan], "NaN at index 1")],
)
def test_what_is_no_spectrum_is_refused(exponents: list[float], complaint: str) -> None:
    for function in (kaplan_yorke_dimension, entropy_rate):
        with pytest.raises(ValueError, match=complaint):
            function(exponents)
