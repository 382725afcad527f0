"""Networks as they start: what each initialization promises of its gradients, in the engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.initializations import initialize
from harness.validation.check import check
from harness.validation.formulas import logistic
from harness.validation.networks import biases_alone
from harness.validation.row import Row, close
from implementations.registry import CELLS

ORTHOGONAL = ("orthogonal", "henaff", "cayley")


@check("initializations")
def norm_preserving() -> Iterator[Row]:
    """Orthogonal schemes in the linear network: every singular value gain^lag."""
    for name in ORTHOGONAL:
        for size, gain in ((8, 1.0), (9, 1.1)):
            parameters = initialize(name, "rnn_linear", 2, size, gain=gain, seed=1)
            found = gradients.singular_spectrum("rnn_linear", parameters, np.ones((100, 1, 2)), lag=100)[0]
            yield close(
                f"{name}, N = {size}, gain {gain}, lag 100: log10 σ",
                np.full(size, 100 * np.log10(gain)),
                found,
                1e-10,
            )


@check("initializations")
def irnn_remembers() -> Iterator[Row]:
    """IRNN with a positive state: P = I; scaled identity: scale^lag·I."""
    for name, scale in (("irnn", 1.0), ("scaled_identity", 0.01)):
        parameters = initialize(name, "rnn_relu", 2, 6)
        found = gradients.singular_spectrum(
            "rnn_relu", parameters, np.zeros((40, 1, 2)), initial_state=(np.ones((1, 6)),), lag=40
        )[0]
        yield close(f"{name}, lag 40: log10 σ", np.full(6, 40 * np.log10(scale)), found, 1e-10)


@check("initializations")
def chrono_sums() -> Iterator[Row]:
    """Chrono: b_f = log u, u in [1, t_max − 1], b_i = −b_f; ‖cc‖_F² = Σ (u/(1+u))^(2·lag)."""
    cell = CELLS["lstm"]
    parameters = initialize("chrono", "lstm", 1, 64, t_max=50)
    total = parameters.bias_ih + parameters.bias_hh
    forget, entrance = cell.gate(total, "f"), cell.gate(total, "i")
    yield close("chrono: b_i = −b_f", -forget, entrance, 0.0)
    u = np.exp(forget)
    yield close("chrono, t_max = 50: u inside [1, 49]", np.clip(u, 1.0, 49.0), u, 1e-12)
    network = biases_alone("lstm", {"f": forget, "i": entrance}, seq_len=300)
    found = gradients.jacobian_decay(
        "lstm", network.parameters, network.inputs, lags=[10, 300], blocks=("cc",)
    )
    expected = [0.5 * np.log10(np.sum((u / (1.0 + u)) ** (2.0 * lag))) for lag in (10, 300)]
    yield close(
        "chrono, gates of biases alone, lags 10 and 300: log10 ‖cc‖_F",
        expected,
        found.log10_frobenius_norm["cc"][:, 0],
        1e-10,
    )
    kept = logistic(CELLS["gru"].gate(initialize("chrono", "gru", 1, 64, t_max=50).bias_ih, "z"))
    yield close("chrono in a GRU: what z keeps is in [1/2, 49/50]", np.clip(kept, 0.5, 0.98), kept, 1e-12)


@check("initializations")
def chrono_law() -> Iterator[Row]:
    """Chrono's closed forms against 200 000 evenly spaced u, and what is written against the engine.

    In the engine H units write (weights of g) into H others, which write nowhere: ∂c_t/∂h_k is then
    i f^(lag−1) of each.
    """
    lags = np.array([1, 2, 10, 100])
    for t_max in (3.0, 60.0, 1000.0):
        u = 1.0 + (t_max - 2.0) * (np.arange(200_000) + 0.5) / 200_000
        f = u / (1.0 + u)
        for path, weight, shift in (("kept", 1.0, 0), ("written", 1.0 - f, 1)):
            squares = [np.mean((weight * f ** (lag - shift)) ** 2) for lag in lags]
            yield close(
                f"chrono, t_max = {t_max:g}, {path}, lags 1, 2, 10, 100: log10 rms",
                0.5 * np.log10(squares),
                gradients.log10_chrono_law(t_max, lags, path=path),
                1e-6,
            )
    units, t_max = 60, 20.0
    bias = np.zeros(2 * units)
    bias[units:] = np.log(1.0 + (t_max - 2.0) * (np.arange(units) + 0.5) / units)
    network = biases_alone("lstm", {"f": bias, "i": -bias}, seq_len=100, start=0.0)
    CELLS["lstm"].gate(network.parameters.weight_hh, "g")[units:, :units] = np.eye(units)
    found = gradients.jacobian_decay(
        "lstm", network.parameters, network.inputs, lags=lags, blocks=("ch",)
    ).log10_frobenius_norm["ch"][:, 0]
    yield close(
        "chrono, t_max = 20, 60 units, lags 1, 2, 10, 100: log10 ‖ch‖_F/√60",
        gradients.log10_chrono_law(t_max, lags, path="written"),
        found - 0.5 * np.log10(units),
        1e-3,
    )


@check("initializations")
def critical_gain() -> Iterator[Row]:
    """The critical scheme: variance g_c²/N, χ(g_c) = 1; from the entries, to 4.5 standard errors."""
    size = 300
    for variance in (0.0, 1.0):
        weight = initialize("critical", "rnn_tanh", 1, size, input_variance=variance).weight_hh
        gain = float(weight.std() * np.sqrt(size))
        chi = gradients.tanh_mean_field(gain, variance).chi
        yield close(
            f"critical, σ² = {variance}, N = {size}: χ from the entries' variance",
            1.0,
            chi,
            4.5 * 2.0 / np.sqrt(2.0 * size**2),
        )


@check("initializations")
def radius() -> Iterator[Row]:
    """Spectral radius = gain: the rate of the linear network at long lags."""
    parameters = initialize("spectral_radius", "rnn_linear", 1, 10, gain=0.95, seed=2)
    largest = np.abs(np.linalg.eigvals(parameters.weight_hh)).max()
    yield close("spectral_radius: max|λ| = gain", 0.95, largest, 1e-12)
    found = gradients.jacobian_decay("rnn_linear", parameters, np.zeros((3000, 1, 1)), lags=[1500, 3000])
    rate = np.diff(np.log(10.0) * found.log10_spectral_norm["hh"][:, 0])[0] / 1500
    yield close("spectral_radius: rate of ‖W^lag‖₂ between lags 1500 and 3000", np.log(0.95), rate, 2e-3)
