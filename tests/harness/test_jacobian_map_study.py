"""The study of ∂s_t/∂s_k over t and k."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.studies.jacobian_map import map_times
from tests.harness.studying import SMALL, measured, points


def test_the_grid_reaches_both_ends() -> None:
    assert map_times(12, 32).tolist() == list(range(13))
    assert map_times(100, 5).tolist() == [0, 25, 50, 75, 100]


def test_a_block_that_a_cell_lacks_is_left_out() -> None:
    found = points("jacobian_map", cell=["rnn_tanh", "lstm"], block=["hh", "cc"], **SMALL)
    assert [(p["cell"], p["block"]) for p in found] == [("rnn_tanh", "hh"), ("lstm", "hh"), ("lstm", "cc")]


def test_a_linear_network_has_the_same_norm_along_every_diagonal() -> None:
    found = measured("jacobian_map", cell=["rnn_linear"], initialization=["orthogonal"], gain=[0.9], **SMALL)
    rows = pd.DataFrame(found.columns)
    assert len(rows) == 2 * sum(t + 1 for t in range(1, 13))
    assert (rows["k"] <= rows["t"]).all()
    np.testing.assert_allclose(
        rows["log10_spectral_norm"], (rows["t"] - rows["k"]) * np.log10(0.9), atol=1e-12
    )
