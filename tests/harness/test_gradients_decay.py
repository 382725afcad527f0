"""The decay against closed forms, central differences and torch's autograd, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from harness.gradients import (
    ForwardDiverged,
    jacobian_decay,
    load_kernels,
    log10_forget_gate_decay,
    log10_norm_bound,
    log10_product_bound,
)
from harness.gradients.trajectory import run_forward
from harness.gradients.walk import Rows, Walk
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS


def linear(weight: Any) -> Parameters:
    weight = np.atleast_2d(np.asarray(weight, dtype=float))
    size = len(weight)
    return Parameters(np.zeros((size, 1)), weight, np.zeros(size), np.zeros(size))


def biases_only(cell: str, hidden_size: int, **biases: float) -> Parameters:
    shapes = CELLS[cell].parameter_shapes(2, hidden_size)
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    for gate, value in biases.items():
        CELLS[cell].gate(arrays["bias_ih"], gate)[:] = value
    return Parameters.from_arrays(arrays)


def zeros(seq_len: int, batch_size: int = 1, input_size: int = 1) -> Any:
    return np.zeros((seq_len, batch_size, input_size))


def whole_product(cell: str, parameters: Parameters, inputs: Any, lag: int) -> Any:
    """∂s_t/∂s_k of a few steps, as the walk computes it: the rows of each state, one on top of the other."""
    trajectory = run_forward(cell, parameters, inputs)
    walk, names = Walk(trajectory), trajectory.cell.state_names
    rows = []
    for name in names:
        start = Rows.identity(trajectory.space, names, name, trajectory.batch_size, trajectory.hidden_size)
        found = walk.past(start, (), lag)[1]
        assert isinstance(found, Rows)
        rows.append(np.concatenate(found.columns, -1) * 2.0 ** found.exponent[..., None])
    return np.concatenate(rows, 1)


@pytest.mark.parametrize("w", [1.01, -0.2])
def test_scalar_linear_at_lag_1000_and_100_000(w: float) -> None:
    decay = jacobian_decay("rnn_linear", linear(w), zeros(100_000), lags=[0, 1000, 100_000])
    expected = np.array([0, 1000, 100_000]) * np.log10(abs(w))
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], expected, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(decay.log10_frobenius_norm["hh"][:, 0], expected, rtol=1e-11, atol=1e-15)


def test_the_lectures_numbers() -> None:
    for w, value in ((1.01, 20959.1556), (0.99, 4.31712e-5)):
        decay = jacobian_decay("rnn_linear", linear(w), zeros(1000), lags=[1000])
        assert 10 ** decay.log10_spectral_norm["hh"][0, 0] == pytest.approx(value, rel=2e-6)


@pytest.mark.parametrize("gain", [0.9, 1.0, 1.7])
def test_scaled_orthogonal_keeps_its_norm(gain: float) -> None:
    parameters = initialize("orthogonal", "rnn_linear", 1, 12, gain=gain)
    decay = jacobian_decay("rnn_linear", parameters, zeros(600))
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], decay.lags * np.log10(gain), atol=1e-11)


def test_a_normal_matrix_follows_its_largest_eigenvalue() -> None:
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    eigenvalues = np.array([1.2, -1.1, 0.9, 0.5, 0.1, 0.01])
    decay = jacobian_decay("rnn_linear", linear(q @ np.diag(eigenvalues) @ q.T), zeros(50))
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], decay.lags * np.log10(1.2), atol=1e-12)
    squares = (eigenvalues[:, None] ** (2.0 * decay.lags)).sum(axis=0)
    np.testing.assert_allclose(decay.log10_frobenius_norm["hh"][:, 0], 0.5 * np.log10(squares), atol=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.9, 1.0), (0.95, 0.3), (1.05, 2.0)])
def test_transient_growth_of_a_jordan_block(a: float, b: float) -> None:
    decay = jacobian_decay("rnn_linear", linear([[a, b], [0.0, a]]), zeros(60))
    n = decay.lags
    p, q = a**n, n * a ** (n - 1.0) * b
    np.testing.assert_allclose(
        10 ** decay.log10_spectral_norm["hh"][:, 0], (np.sqrt(q**2 + 4 * p**2) + q) / 2, rtol=1e-12
    )
    if (a, b) == (0.9, 1.0):
        assert int(np.argmax(decay.log10_spectral_norm["hh"])) == 9
        assert 10 ** decay.log10_spectral_norm["hh"].max() == pytest.approx(3.91257, abs=1e-5)


@pytest.mark.parametrize("size", [1, 4, 7])
def test_a_nilpotent_shift_ends_in_exact_zeros(size: int) -> None:
    decay = jacobian_decay("rnn_linear", linear(np.eye(size, k=1)), zeros(size + 3))
    before = decay.lags < size
    np.testing.assert_array_equal(decay.log10_spectral_norm["hh"][before, 0], 0.0)
    np.testing.assert_allclose(
        decay.log10_frobenius_norm["hh"][before, 0], 0.5 * np.log10(size - decay.lags[before]), atol=1e-15
    )
    for norm in (decay.log10_spectral_norm, decay.log10_frobenius_norm):
        np.testing.assert_array_equal(norm["hh"][~before], -np.inf)


@pytest.mark.parametrize("b_f", [0.0, 1.0, 5.0, -3.0])
def test_lstm_of_biases_alone(b_f: float) -> None:
    b_o, b_i, b_g = 0.4, -0.2, 0.3
    parameters = biases_only("lstm", 3, f=b_f, o=b_o, i=b_i, g=b_g)
    initial = (np.full((2, 3), 0.1), np.full((2, 3), 0.7))
    decay = jacobian_decay(
        "lstm", parameters, zeros(400, 2, 2), initial_state=initial, blocks=("hh", "hc", "ch", "cc", "ss")
    )
    f = 1 / (1 + np.exp(-b_f))
    expected = decay.lags * np.log10(f)
    np.testing.assert_allclose(decay.log10_spectral_norm["cc"], expected[:, None] + [0, 0], atol=1e-11)
    np.testing.assert_allclose(
        log10_forget_gate_decay("lstm", parameters, decay.lags), expected, rtol=1e-12, atol=1e-15
    )
    for block in ("hh", "ch"):
        np.testing.assert_array_equal(decay.log10_spectral_norm[block][1:], -np.inf)
    c = run_forward("lstm", parameters, zeros(400, 2, 2), initial_state=initial).states[1][-1, 0, 0]
    k = (1 - np.tanh(c) ** 2) / (1 + np.exp(-b_o))
    np.testing.assert_allclose(decay.log10_spectral_norm["hc"][1:, 0], np.log10(k) + expected[1:], atol=1e-11)
    np.testing.assert_array_equal(decay.log10_spectral_norm["hc"][0], -np.inf)


def test_the_forget_gates_half_life() -> None:
    decay = jacobian_decay("lstm", biases_only("lstm", 2, f=1.0), zeros(100, 1, 2), blocks=["cc"])
    assert 10 ** decay.log10_spectral_norm["cc"][100, 0] == pytest.approx(2.484378e-14, rel=1e-6)
    assert -np.log10(2) / (decay.log10_spectral_norm["cc"][100, 0] / 100) == pytest.approx(2.2127, abs=1e-4)


def test_a_saturated_lstm_remembers_everything() -> None:
    parameters = biases_only("lstm", 4, f=800.0, i=-800.0)
    product = whole_product("lstm", parameters, zeros(300, 1, 2), 300)
    np.testing.assert_array_equal(product[0, 4:, 4:], np.eye(4))


def test_blocks_far_apart_in_size_do_not_drown_each_other() -> None:
    """c decays by σ(1) a step, h by 1e-4 and less: at lag 300 they stand 1e-1100 apart."""
    parameters = biases_only("lstm", 2, f=1.0, i=0.3, g=0.5, o=0.1)
    weight = parameters.weight_hh.copy()
    CELLS["lstm"].gate(weight, "o")[:] = 1e-4 * np.eye(2)
    arrays = {**parameters.arrays(), "weight_hh": weight}
    decay = jacobian_decay("lstm", Parameters.from_arrays(arrays), zeros(300, 1, 2), blocks=("hh", "cc"))
    assert np.isfinite(decay.log10_spectral_norm["hh"]).all()
    assert decay.log10_spectral_norm["hh"][300, 0] < -1200
    assert decay.log10_spectral_norm["cc"][300, 0] == pytest.approx(300 * np.log10(0.7310585786), rel=1e-9)


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_gru_of_biases_alone(cell: str) -> None:
    product = whole_product(cell, biases_only(cell, 3, z=1.5, r=0.3, n=0.2), zeros(40, 1, 2), 40)
    np.testing.assert_allclose(product[0], np.eye(3) / (1 + np.exp(-1.5)) ** 40, rtol=1e-12, atol=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("size", [6, 64])
def test_dead_units_at_long_lags_are_exact_zeros(size: int, compiled: bool) -> None:
    """ReLU units that come to life one after another: P = diag(w_i^lag) over those alive at every step of it.

    Beyond the moment at which the first of them did there is nothing: −inf, however long the lag, no warning.
    """
    if compiled:
        load_kernels()
    seq_len = 3000
    born = np.linspace(2400, 2990, size).astype(int)
    weights = np.where(np.arange(size) % 2, 1.0, 0.999)
    inputs = np.zeros((seq_len, 1, size))
    inputs[born - 1, 0, np.arange(size)] = 1.0
    parameters = Parameters(np.eye(size), np.diag(weights), np.zeros(size), np.zeros(size))
    decay = jacobian_decay("rnn_relu", parameters, inputs)
    lags = decay.lags[:, None]
    entries = np.where((lags == 0) | (lags <= seq_len - born + 1), weights**lags, 0.0)
    with np.errstate(divide="ignore"):
        spectral, frobenius = np.log10(entries.max(1)), 0.5 * np.log10((entries**2).sum(1))
    assert np.isneginf(spectral[seq_len - 2400 + 2 :]).all()
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], spectral, atol=1e-10)
    np.testing.assert_allclose(decay.log10_frobenius_norm["hh"][:, 0], frobenius, atol=1e-10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_long_nilpotent_shift_at_long_lags(compiled: bool) -> None:
    """In a batch; σ of the last lag before nothing is left is 1 as well."""
    if compiled:
        load_kernels()
    decay = jacobian_decay("rnn_linear", linear(np.eye(64, k=1)), zeros(3000, 2))
    left = np.maximum(64 - decay.lags, 0)[:, None] * np.ones(2)
    with np.errstate(divide="ignore"):
        expected = 0.5 * np.log10(left)
    np.testing.assert_allclose(decay.log10_frobenius_norm["hh"], expected, atol=1e-14)
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"], np.where(left > 0, 0.0, -np.inf), atol=1e-10)


def test_a_relu_network_of_identity_and_a_dead_unit() -> None:
    parameters = initialize("identity", "rnn_relu", 3, 3)
    arrays = {**parameters.arrays(), "weight_ih": np.diag([1.0, 1.0, -1.0])}
    product = whole_product("rnn_relu", Parameters.from_arrays(arrays), np.ones((50, 1, 3)), 50)
    np.testing.assert_array_equal(product[0], np.diag([1.0, 1.0, 0.0]))


def draw(cell: str, seq_len: int = 9, hidden_size: int = 4, gain: float = 1.3) -> tuple[Parameters, Any]:
    rng = np.random.default_rng(8)
    parameters = initialize("pytorch_uniform", cell, 3, hidden_size, seed=1, gain=gain)
    return parameters, rng.standard_normal((seq_len, 2, 3))


@pytest.mark.parametrize("cell", CELLS)
def test_against_central_differences(cell: str) -> None:
    parameters, inputs = draw(cell)
    lag, size, eps = 5, 4, 1e-6
    before = run_forward(cell, parameters, inputs[:-lag])
    start = np.concatenate([state[-1] for state in before.states], axis=1)
    columns = []
    for c in range(start.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[:, c] += sign * eps
            run = run_forward(
                cell, parameters, inputs[-lag:], initial_state=np.split(moved, start.shape[1] // size, axis=1)
            )
            ends.append(np.concatenate([state[-1] for state in run.states], axis=1))
        columns.append((ends[0] - ends[1]) / (2 * eps))
    numeric = np.stack(columns, axis=-1)
    np.testing.assert_allclose(whole_product(cell, parameters, inputs, lag), numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_every_block_and_lag_against_torch_autograd(cell: str) -> None:
    parameters, inputs = draw(cell)
    names = CELLS[cell].state_names
    kind = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}.get(cell, torch.nn.RNNCell)
    options = {} if kind is not torch.nn.RNNCell else {"nonlinearity": cell.removeprefix("rnn_")}
    module = kind(3, 4, **options).double()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in parameters.arrays().items()})
    trajectory = run_forward(cell, parameters, inputs)
    blocks = tuple(a + b for a in names for b in names)
    decay = jacobian_decay(cell, parameters, inputs, blocks=blocks)
    for lag in range(1, len(inputs) + 1):
        # h_k and c_k are independent variables: the graph starts anew at k.
        start = tuple(
            torch.from_numpy(state[1:]).requires_grad_() for state in trajectory.state(len(inputs) - lag)
        )
        end = start
        for x in torch.from_numpy(inputs[-lag:, 1:]):
            after = module(x, end if len(names) > 1 else end[0])
            end = after if len(names) > 1 else (after,)
        for block in blocks:
            later, earlier = end[names.index(block[0])], start[names.index(block[1])]
            rows = [torch.autograd.grad(later[0, a], earlier, retain_graph=True)[0][0] for a in range(4)]
            matrix = torch.stack(rows)
            for norms, order in ((decay.log10_spectral_norm, 2), (decay.log10_frobenius_norm, "fro")):
                expected = np.linalg.norm(matrix.numpy(), order)  # type: ignore[call-overload]
                assert 10 ** norms[block][lag, 1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_chunking_and_any_anchor(cell: str) -> None:
    parameters, inputs = draw(cell, seq_len=12)
    whole = whole_product(cell, parameters, inputs, 10)
    later = whole_product(cell, parameters, inputs, 4)
    earlier = whole_product(cell, parameters, inputs[:8], 6)
    np.testing.assert_allclose(whole, later @ earlier, rtol=1e-9, atol=1e-13)
    anchored = jacobian_decay(cell, parameters, inputs, anchor=8, lags=[0, 3, 6]).log10_spectral_norm["hh"]
    cut = jacobian_decay(cell, parameters, inputs[:8], lags=[0, 3, 6]).log10_spectral_norm["hh"]
    np.testing.assert_array_equal(anchored, cut)


def test_the_newest_factor_stands_on_the_left() -> None:
    parameters, inputs = draw("rnn_tanh", gain=2.0)
    trajectory = run_forward("rnn_tanh", parameters, inputs)
    jacobians = [trajectory.jacobian(t)[0] for t in range(7, 10)]
    right, wrong = jacobians[2] @ jacobians[1] @ jacobians[0], jacobians[0] @ jacobians[1] @ jacobians[2]
    decay = jacobian_decay("rnn_tanh", parameters, inputs, lags=[3])
    got = 10 ** decay.log10_frobenius_norm["hh"][0, 0]
    assert got == pytest.approx(np.linalg.norm(right), rel=1e-12)
    assert abs(got / np.linalg.norm(wrong) - 1) > 1e-3


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "rnn_linear", "rnn_tanh_preactivation"])
@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_the_lectures_bound_holds(cell: str, gain: float) -> None:
    parameters, inputs = draw(cell, seq_len=40, gain=gain)
    decay = jacobian_decay(cell, parameters, inputs)
    product = log10_product_bound(cell, parameters, inputs)
    bound = log10_norm_bound(cell, parameters, decay.lags)
    assert (decay.log10_spectral_norm["hh"] <= product + 1e-9).all()
    assert (product <= bound[:, None] + 1e-9).all()
    with pytest.raises(ValueError, match="lstm has no bound"):
        log10_norm_bound("lstm", parameters, [1])


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
def test_probes_estimate_the_frobenius_norm(cell: str) -> None:
    parameters, inputs = draw(cell, seq_len=30)
    blocks = ("hh", "cc", "hc", "ss") if cell == "lstm" else ("hh",)
    exact = jacobian_decay(cell, parameters, inputs, blocks=blocks)
    probed = jacobian_decay(cell, parameters, inputs, blocks=blocks, probes=400)
    assert probed.log10_spectral_norm == {}
    for block in blocks:
        truth, guess = exact.log10_frobenius_norm[block], probed.log10_frobenius_norm[block]
        error = probed.log10_frobenius_standard_error[block]
        finite = np.isfinite(truth)
        assert (np.isfinite(guess) == finite).all()
        assert (np.abs(truth[finite] - guess[finite]) <= 5 * error[finite] + 1e-9).all()
        assert (error < 0.06).all()


def test_float32_agrees_within_its_precision() -> None:
    parameters, inputs = draw("gru", seq_len=30)
    wide, narrow = (jacobian_decay("gru", parameters, inputs, dtype=d) for d in ("float64", "float32"))
    difference = np.abs(wide.log10_spectral_norm["hh"] - narrow.log10_spectral_norm["hh"])
    assert 0 < difference.max() < 1e-4


def test_the_frame_is_tidy() -> None:
    parameters, inputs = draw("lstm")
    frame = jacobian_decay("lstm", parameters, inputs, blocks=("hh", "cc"), lags=[0, 4]).to_frame()
    assert list(frame.columns) == ["lag", "block", "sample", "log10_spectral_norm", "log10_frobenius_norm"]
    assert len(frame) == 2 * 2 * 2
    assert frame.query("lag == 0 and block == 'cc'")["log10_spectral_norm"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lags": []}, "lags must hold at least one"),
        ({"lags": [3, 3]}, "lags must increase, got 3 after 3"),
        ({"lags": [1, 10]}, r"lag must be in 0…9 \(the anchor\), got 10"),
        ({"lags": [5], "anchor": 4}, "lag must be in 0…4"),
        ({"lags": [1.5]}, "lags must be integers, got 1.5"),
        ({"lags": [True]}, "lags must be integers, got True"),
        ({"lags": 3}, "lags must be a list of integers, got 3"),
        ({"anchor": 10}, "anchor must be in 0…9"),
        ({"blocks": ("cc",)}, r"rnn_tanh has no block 'cc'.*\(it has hh, ss\)"),
        ({"blocks": ()}, "blocks must name at least one of hh, ss"),
        ({"dtype": "float16"}, "dtype must be one of float64, float32, got 'float16'"),
        ({"device": "tpu"}, "device must be"),
        ({"probes": 1}, "probes must be at least 2"),
        ({"inputs": np.zeros((0, 1, 3))}, r"inputs must be \(T, B, I\) with T >= 1"),
        ({"inputs": np.zeros((4, 1, 2))}, "inputs must have 3 features"),
        ({"initial_state": (np.zeros((2, 5)),)}, r"initial_state h must be \(B, H\) = \(2, 4\)"),
        ({"initial_state": (np.zeros((2, 4)),) * 2}, "got 2 arrays"),
    ],
)
def test_what_is_refused(change: dict[str, Any], complaint: str) -> None:
    parameters, inputs = draw("rnn_tanh")
    arguments = {"inputs": inputs, **change}
    with pytest.raises(ValueError, match=complaint):
        jacobian_decay("rnn_tanh", parameters, arguments.pop("inputs"), **arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_arrays_are_named_with_the_first_index(bad: float) -> None:
    parameters, inputs = draw("rnn_tanh")
    weight = parameters.weight_hh.copy()
    weight[2, 1] = weight[3, 0] = bad
    spoilt = Parameters.from_arrays({**parameters.arrays(), "weight_hh": weight})
    with pytest.raises(ValueError, match=r"weight_hh must be finite, got (nan|inf) at index \(2, 1\)"):
        jacobian_decay("rnn_tanh", spoilt, inputs)
    inputs[4, 1, 2] = bad
    with pytest.raises(ValueError, match=r"inputs must be finite, got (nan|inf) at index \(4, 1, 2\)"):
        jacobian_decay("rnn_tanh", parameters, inputs)


def test_a_network_that_diverges_is_reported_with_its_step() -> None:
    with pytest.raises(
        ForwardDiverged, match=r"rnn_linear.*h_t is not finite at step t = 4 \(sample 0\)"
    ) as error:
        jacobian_decay("rnn_linear", linear(1e100), zeros(20), initial_state=(np.full((1, 1), 1.0),))
    assert error.value.step == 4
    early = jacobian_decay(
        "rnn_linear", linear(1e100), zeros(20), initial_state=(np.full((1, 1), 1.0),), anchor=3
    )
    assert early.log10_spectral_norm["hh"][3, 0] == pytest.approx(300.0)


def test_importing_the_engine_loads_numpy_alone() -> None:
    code = (
        "import sys, harness.gradients, harness.initializations, harness.clipping, harness.inputs;"
        "heavy = {'torch', 'numba', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
