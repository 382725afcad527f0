"""Gated cells whose gates see their biases alone: what they carry is a power of σ(b)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.formulas import logistic
from harness.validation.networks import biases_alone, blocks_of, decay, spectrum
from harness.validation.row import Row, close


@check("gates")
def lstm_of_biases() -> Iterator[Row]:
    """All weights 0: cc = σ(b_f)^lag, hh = ch = 0, hc = o(1 − tanh²c_t)·f^lag."""
    lag = 100
    b_f, b_o = np.array([1.0, -0.5, 3.0]), np.array([0.2, 1.0, -1.0])
    network = biases_alone("lstm", {"f": b_f, "o": b_o, "i": b_o - 0.3, "g": b_o + 0.7}, seq_len=lag)
    found = decay(network, lags=[1, lag], blocks=blocks_of("lstm"))
    f = logistic(b_f)
    c = network.states()[-1][1][0]
    expected = {
        "cc": np.max(lag * np.log10(f)),
        "hc": np.max(np.log10(logistic(b_o) * (1.0 - np.tanh(c) ** 2)) + lag * np.log10(f)),
        "hh": -np.inf,
        "ch": -np.inf,
    }
    for block, value in expected.items():
        got = found.log10_spectral_norm[block][1, 0]
        yield close(f"LSTM of biases, lag {lag}: log10 ‖{block}‖₂", value, got, 1e-10)
    law = gradients.log10_forget_gate_decay("lstm", network.parameters, [1, lag])
    yield close(
        "LSTM of biases: σ(b_f)^lag as theory gives it", law, found.log10_spectral_norm["cc"][:, 0], 1e-10
    )
    one = biases_alone("lstm", {"f": np.array([1.0])}, seq_len=lag)
    cell = decay(one, lags=[1, lag], blocks=("cc",)).log10_spectral_norm["cc"][:, 0]
    yield close("LSTM of biases, b_f = 1: f, as published", 0.7310586, 10 ** cell[0], 5e-8)
    yield close(
        "LSTM of biases, b_f = 1: f^100, as published", 2.484378e-14, 10 ** cell[1], 1e-6, relative=True
    )
    half_life = -np.log10(2.0) * lag / cell[1]
    yield close("LSTM of biases, b_f = 1: half-life in steps, as published", 2.2127, half_life, 5e-5)


@check("gates")
def lstm_saturated() -> Iterator[Row]:
    """f at 1, i at 0: the cell state is carried unchanged."""
    network = biases_alone(
        "lstm", {"f": np.full(4, 60.0), "i": np.full(4, -60.0), "g": np.ones(4)}, seq_len=5000
    )
    found = decay(network, lags=[1, 500, 5000], blocks=("cc",))
    yield close(
        "LSTM saturated, lags 1, 500, 5000: log10 ‖cc‖₂",
        np.zeros(3),
        found.log10_spectral_norm["cc"][:, 0],
        1e-12,
    )
    yield close(
        "LSTM saturated, lags 1, 500, 5000: log10 ‖cc‖_F",
        np.full(3, 0.5 * np.log10(4)),
        found.log10_frobenius_norm["cc"][:, 0],
        1e-12,
    )


@check("gates")
def gru_of_biases() -> Iterator[Row]:
    """All weights 0: P = σ(b_z)^lag·I, whichever side of the product the reset gate stands on."""
    for cell in ("gru", "gru_reset_before"):
        b_z = np.array([2.0, 0.0, -1.5])
        network = biases_alone(cell, {"z": b_z, "r": b_z[::-1], "n": 0.1 * b_z}, seq_len=60)
        expected = np.sort(60 * np.log10(logistic(b_z)))[::-1]
        yield close(f"{cell} of biases, lag 60: log10 σ", expected, spectrum(network, 60)[0], 1e-10)
        got = decay(network, lags=[60]).log10_spectral_norm["hh"][0, 0]
        yield close(f"{cell} of biases, lag 60: log10 ‖P‖₂", expected[0], got, 1e-10)
