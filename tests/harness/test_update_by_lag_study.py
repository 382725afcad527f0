"""Updates by lag: the terms add up to the gradient that a loss has, and fall as the Jacobian does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.gradients import adjoint_decay
from harness.initializations import initialize
from harness.inputs import make_inputs
from harness.outcome import Unsupported
from harness.studies.clipping import loss_gradient
from tests.harness.studying import SMALL, measure, measured


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_the_terms_are_those_of_the_clipping_studys_loss(cell: str) -> None:
    found = measured("update_by_lag", cell=[cell], initialization=["orthogonal"], **SMALL)
    rows = pd.DataFrame(found.columns).astype(float)
    assert rows["lag"].tolist() == list(range(12))
    assert rows["cumulative_share"].iloc[-1] == pytest.approx(1.0)
    parameters = initialize("orthogonal", cell, 5, 5, seed=0)
    inputs = make_inputs("noise", 12, 2, 5, seed=0, corpus=None)
    gradient = loss_gradient(cell, parameters, inputs, "last", 0)
    whole = adjoint_decay(cell, parameters, inputs, grad_output=gradient).parameters["weight_hh"]
    assert found.facts["log10_gradient_norm"] == pytest.approx(np.log10(np.linalg.norm(whole)))


def test_a_norm_that_falls_by_half_per_step_halves_the_terms() -> None:
    """A linear network of gain 0.5: each term is h_{T−ℓ−1} and δ, and δ halves with every lag."""
    found = measured(
        "update_by_lag", cell=["rnn_linear"], initialization=["orthogonal"], gain=[0.5],
        **{**SMALL, "seq_len": [60], "batch_size": 1},
    )  # fmt: skip
    rows = pd.DataFrame(found.columns).astype(float).query("1 <= lag <= 50")
    slope = np.polyfit(rows["lag"], rows["log10_term_norm"], 1)[0]
    assert slope == pytest.approx(np.log10(0.5), abs=0.02)


def test_a_network_that_diverges_is_a_row_with_its_reason() -> None:
    found = measure(
        "update_by_lag", cell=["rnn_linear"], initialization=["orthogonal"], gain=[1e200],
        **{**SMALL, "seq_len": [20]},
    )  # fmt: skip
    assert isinstance(found, Unsupported)
    assert "inf" in found.reason or "diverge" in found.reason
