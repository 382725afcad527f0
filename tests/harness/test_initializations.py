"""Every initialization is seeded, scaled by its gain and fits its cells; bad arguments are named."""

from __future__ import annotations

import numpy as np
import pytest

from harness.initializations import INITIALIZATIONS, initialize, why_unsupported
from implementations.registry import CELLS


def pairs(*cells: str) -> list[tuple[str, str]]:
    """Every initialization with every cell that it can be had for."""
    return [(name, cell) for name in INITIALIZATIONS for cell in cells if why_unsupported(name, cell) is None]


@pytest.mark.parametrize(("name", "cell"), pairs(*CELLS))
def test_fits_every_cell_and_is_seeded(name: str, cell: str) -> None:
    parameters = initialize(name, cell, 3, 5, seed=2)
    CELLS[cell].check_parameters(parameters)
    again, other = initialize(name, cell, 3, 5, seed=2), initialize(name, cell, 3, 5, seed=3)
    for key, array in parameters.arrays().items():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, again.arrays()[key])
    assert not np.array_equal(parameters.weight_ih, other.weight_ih)


@pytest.mark.parametrize(("name", "cell"), pairs("lstm_peephole", "lstm_gate_recurrence"))
def test_all_but_one_start_a_variant_as_the_lstm(name: str, cell: str) -> None:
    """As the report says of the variants."""
    extras = initialize(name, cell, 3, 5).extras.values()
    assert all(np.any(array != 0.0) == (name == "pytorch_uniform") for array in extras)


@pytest.mark.parametrize(("name", "cell"), pairs("rnn_tanh", "lstm", "gru"))
def test_gain_scales_the_recurrent_weights_alone(name: str, cell: str) -> None:
    plain, doubled = initialize(name, cell, 4, 6), initialize(name, cell, 4, 6, gain=2.0)
    np.testing.assert_array_equal(doubled.weight_hh, 2.0 * plain.weight_hh)
    np.testing.assert_array_equal(doubled.weight_ih, plain.weight_ih)
    np.testing.assert_array_equal(doubled.bias_ih, plain.bias_ih)


@pytest.mark.parametrize("name", INITIALIZATIONS)
@pytest.mark.parametrize("forget_bias", [0.0, 1.0, -2.5])
def test_forget_bias_fixes_the_sum(name: str, forget_bias: float) -> None:
    cell = CELLS["lstm"]
    plain = initialize(name, "lstm", 4, 6)
    parameters = initialize(name, "lstm", 4, 6, forget_bias=forget_bias)
    np.testing.assert_array_equal(cell.gate(parameters.bias_ih, "f"), forget_bias)
    np.testing.assert_array_equal(cell.gate(parameters.bias_hh, "f"), 0.0)
    for gate in "igo":
        np.testing.assert_array_equal(cell.gate(parameters.bias_ih, gate), cell.gate(plain.bias_ih, gate))
    np.testing.assert_array_equal(parameters.weight_hh, plain.weight_hh)


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_pytorch_uniform_fills_torchs_interval(cell: str) -> None:
    parameters = initialize("pytorch_uniform", cell, 20, 64)
    for array in parameters.arrays().values():
        assert np.abs(array).max() <= 1 / 8
        assert np.abs(array).max() > 0.95 / 8
        assert abs(array.var() * 3 * 64 - 1) < 0.25


def test_xavier_uniform_counts_the_fans_of_each_block() -> None:
    parameters = initialize("xavier_uniform", "lstm", 20, 40, gain=1.5)
    for array, bound in (
        (parameters.weight_ih, np.sqrt(6 / 60)),
        (parameters.weight_hh, 1.5 * np.sqrt(6 / 80)),
    ):
        assert 0.99 * bound < np.abs(array).max() <= bound
    assert not parameters.bias_ih.any()


@pytest.mark.parametrize("cell", ["rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("gain", [0.7, 1.0, 3.0])
def test_orthogonal_blocks_have_all_singular_values_at_the_gain(cell: str, gain: float) -> None:
    parameters = initialize("orthogonal", cell, 3, 16, gain=gain)
    blocks = [CELLS[cell].gate(parameters.weight_hh, gate) for gate in CELLS[cell].gates]
    for block in blocks:
        np.testing.assert_allclose(np.linalg.svd(block, compute_uv=False), gain, rtol=1e-13)
    for other in blocks[1:]:
        assert not np.allclose(blocks[0], other)


def test_orthogonal_is_uniform_over_the_group() -> None:
    """Under the Haar measure the trace has mean 0 and variance 1; LAPACK's plain Q has another mean."""
    traces = [np.trace(initialize("orthogonal", "rnn_tanh", 1, 4, seed=s).weight_hh) for s in range(400)]
    assert abs(np.mean(traces)) < 0.2
    assert abs(np.var(traces) - 1.0) < 0.25


def test_identity_is_the_identity_in_every_block() -> None:
    parameters = initialize("identity", "gru", 3, 4, gain=0.5)
    np.testing.assert_array_equal(parameters.weight_hh, np.concatenate([0.5 * np.eye(4)] * 3))
    assert not parameters.bias_ih.any()
    assert not parameters.bias_hh.any()


def test_gaussian_has_variance_gain_squared_over_hidden_size() -> None:
    parameters = initialize("gaussian", "rnn_tanh", 50, 200, gain=2.0)
    assert abs(parameters.weight_hh.var() * 200 / 4 - 1) < 0.05
    assert abs(parameters.weight_ih.var() * 50 - 1) < 0.05
    radius = np.abs(np.linalg.eigvals(parameters.weight_hh)).max()
    assert abs(radius / 2 - 1) < 0.15


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_a_network_of_one_unit(name: str) -> None:
    parameters = initialize(name, "lstm", 1, 1)
    assert all(np.isfinite(array).all() for array in parameters.arrays().values())


def test_what_a_cell_cannot_have_is_said() -> None:
    refused = {
        (name, cell) for name in INITIALIZATIONS for cell in CELLS if why_unsupported(name, cell) is not None
    }
    without = {"lstm_coupled", "lstm_no_forget_gate", *(cell for cell in CELLS if cell.startswith("rnn_"))}
    assert refused == {("chrono", cell) for cell in without}
    with pytest.raises(
        ValueError, match="chrono sets the bias of the gate that keeps the state; rnn_tanh has"
    ):
        initialize("chrono", "rnn_tanh", 3, 4)


def test_bad_arguments_are_refused_with_the_nearest_word() -> None:
    with pytest.raises(KeyError, match="did you mean 'orthogonal'"):
        initialize("orthogonl", "lstm", 3, 4)
    with pytest.raises(KeyError, match="did you mean 'lstm'"):
        initialize("orthogonal", "lstn", 3, 4)
    with pytest.raises(TypeError, match="no option 'forget_bais'; did you mean 'forget_bias'"):
        initialize("orthogonal", "lstm", 3, 4, forget_bais=1.0)
    with pytest.raises(
        ValueError, match="forget_bias needs a cell with a forget gate f; gru has gates r, z, n"
    ):
        initialize("orthogonal", "gru", 3, 4, forget_bias=1.0)
    with pytest.raises(ValueError, match="hidden_size must be at least 1, got 0"):
        initialize("orthogonal", "lstm", 3, 0)
    with pytest.raises(ValueError, match="input_size must be at least 1, got -1"):
        initialize("orthogonal", "lstm", -1, 4)
    with pytest.raises(ValueError, match="gain must be finite"):
        initialize("orthogonal", "lstm", 3, 4, gain=float("nan"))
    with pytest.raises(ValueError, match="forget_bias must be finite"):
        initialize("orthogonal", "lstm", 3, 4, forget_bias=float("inf"))
