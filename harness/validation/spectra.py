"""All singular values and exponents against determinants, exact fractions, and mean-field theory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from harness import gradients
from harness.initializations import initialize
from harness.validation.check import check
from harness.validation.formulas import Array
from harness.validation.networks import autonomous, drawn, orthogonal, spectrum
from harness.validation.row import Row, close
from implementations.registry import CELLS

OUTPUT_FOLLOWS = ("lstm_no_output_gate", "lstm_gate_recurrence")
"""Cells whose h is a function of their other states, tanh c and o⊙tanh c: of rank S − H, no determinant."""


@check("spectra")
def ranks() -> Iterator[Row]:
    """Where h follows from the other states, exactly H singular values of a step are rounding."""
    for cell in OUTPUT_FOLLOWS:
        network = drawn(cell, seq_len=3, hidden_size=5, batch_size=1)
        found = spectrum(network, 1)[0]
        count = int((found > found[0] - 12.0).sum())
        yield close(f"{cell}: rank of a step, of {len(found)}", len(found) - 5, count, 0.0)


@check("spectra")
def determinants() -> Iterator[Row]:
    """Σ log10 σ_i = Σ_j log10|det J_j|: the small singular values carry this sum."""
    for cell in CELLS:
        if "relu" in cell or cell in OUTPUT_FOLLOWS:
            continue
        network = drawn(cell, seq_len=60, hidden_size=5, batch_size=1)
        expected = sum(np.linalg.slogdet(j[0])[1] for j in network.jacobians()) / np.log(10.0)
        found = gradients.singular_spectrum(
            cell, network.parameters, network.inputs, initial_state=network.start, lag=60
        )[0]
        yield close(f"{cell}, lag 60: Σ log10 σ = Σ log10|det J|", expected, found.sum(), 1e-9)


@check("spectra")
def tanh_volume() -> Iterator[Row]:
    """log|det J| = log|det W| + Σ log(1 − h²); the exponents' sum is its time mean."""
    network = drawn("rnn_tanh", seq_len=200, hidden_size=6, batch_size=1)
    h = np.stack([state[0][0] for state in network.states()])
    logs = np.linalg.slogdet(network.parameters.weight_hh)[1] + np.log1p(-(h[1:] ** 2)).sum(axis=1)
    found = gradients.lyapunov_spectrum(
        "rnn_tanh", network.parameters, network.inputs, initial_state=network.start, warmup=40
    )
    yield close(
        "rnn_tanh: Σλ = mean of ln|det W| + Σ ln(1 − h²)", logs[40:].mean(), found.exponents.sum(), 1e-9
    )


@check("spectra")
def linear_exponents() -> Iterator[Row]:
    """W triangular: λ_i = ln|w_ii|; W = c·Q: all ln c; a zero column: −∞."""
    diagonal = np.array([1.3, -1.0, 0.6, 0.05])
    triangular = autonomous("rnn_linear", np.diag(diagonal) + np.triu(np.full((4, 4), 0.4), 1), seq_len=500)
    found = gradients.lyapunov_spectrum("rnn_linear", triangular.parameters, triangular.inputs, warmup=200)
    yield close("linear, W triangular: λ = ln|w_ii|", np.log(np.abs(diagonal)), found.exponents, 1e-9)
    yield close("linear, W triangular: converged", 1, int(found.converged), 0.0)
    scaled = autonomous("rnn_linear", 0.9 * orthogonal(6), seq_len=150)
    found = gradients.lyapunov_spectrum("rnn_linear", scaled.parameters, scaled.inputs, warmup=10)
    yield close("linear, W = 0.9·Q: λ = ln 0.9", np.full(6, np.log(0.9)), found.exponents, 1e-12)
    dying = autonomous("rnn_linear", np.diag([0.5, 0.0]), seq_len=150)
    found = gradients.lyapunov_spectrum("rnn_linear", dying.parameters, dying.inputs, warmup=10)
    yield close("linear, W = diag(0.5, 0): λ", [np.log(0.5), -np.inf], found.exponents, 1e-12)


@check("spectra")
def mean_field_exponent() -> Iterator[Row]:
    """λ₁ of large random tanh networks: ½·ln χ.

    Tolerance 0.03 nats, for N = 300: means over 2 draws and 160 steps scatter by about 0.01, and a finite
    network falls short of the limit by about 3/N.
    """
    yield close(
        "mean field, g = 2: λ₁, as published",
        0.154724,
        gradients.tanh_mean_field(2.0).lyapunov_exponent,
        5e-7,
    )
    for gain, variance in ((2.0, 0.0), (2.0, 1.0), (1.2, 0.25)):
        rates = [_largest_exponent(gain, variance, seed) for seed in range(2)]
        expected = gradients.tanh_mean_field(gain, variance).lyapunov_exponent
        yield close(
            f"mean field, g = {gain}, σ² = {variance}: λ₁ of networks of 300 units",
            expected,
            np.mean(rates),
            0.03,
        )


def _largest_exponent(gain: float, variance: float, seed: int, size: int = 300, steps: int = 160) -> float:
    """The rate at which a random vector grows on its way back through a random network on its attractor."""
    settle, align = 40, 20
    rng = np.random.default_rng([seed, 5])
    weight_hh = initialize("gaussian", "rnn_tanh", 1, size, seed=seed, gain=gain).weight_hh
    network = autonomous("rnn_tanh", weight_hh, seq_len=1)
    arrays = network.parameters.arrays() | {"weight_ih": np.eye(size)}
    adjoint = gradients.adjoint_decay(
        "rnn_tanh",
        type(network.parameters).from_arrays(arrays),
        np.sqrt(variance) * rng.standard_normal((settle + steps + align, 1, size)),
        initial_state=(rng.standard_normal((1, size)),),
        grad_final_state=(rng.standard_normal((1, size)),),
    )
    grown = adjoint.log10_total[settle, 0] - adjoint.log10_total[settle + steps, 0]
    return float(np.log(10.0) * grown / steps)


@check("spectra")
def small_singular_values() -> Iterator[Row]:
    """Networks with two state components: their product, and so both singular values, in exact fractions."""
    for cell, lag in (
        ("rnn_tanh", 150),
        ("rnn_tanh_preactivation", 150),
        ("gru", 80),
        ("gru_reset_before", 80),
        ("lstm", 80),
    ):
        hidden_size = 2 // len(CELLS[cell].state_names)
        network = drawn(cell, seq_len=lag, hidden_size=hidden_size, batch_size=1, gain=1.5, seed=3)
        expected = exact_log10_spectrum([j[0] for j in network.jacobians()])
        found = gradients.singular_spectrum(
            cell, network.parameters, network.inputs, initial_state=network.start, lag=lag
        )[0]
        spread = expected[0] - expected[1]
        yield close(
            f"{cell}, lag {lag}: log10 σ, {spread:.0f} decades apart, in exact fractions",
            expected,
            found,
            1e-9,
        )


def exact_log10_spectrum(factors: list[Array]) -> Array:
    """log10 of both singular values of a product of 2×2 matrices, newest last, with no rounding on the way.

    With F = ‖P‖_F² and D = |det P|: σ₁² = F·(1 + √(1 − 4D²/F²))/2 and σ₂ = D/σ₁.
    """
    product = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    for factor in factors:
        rows = [[Fraction(float(x)) for x in row] for row in factor]
        product = [
            [sum((rows[i][m] * product[m][j] for m in range(2)), Fraction(0)) for j in range(2)]
            for i in range(2)
        ]
    squares = sum((x * x for row in product for x in row), Fraction(0))
    determinant = abs(product[0][0] * product[1][1] - product[0][1] * product[1][0])
    ratio = float(4 * determinant**2 / squares**2)
    largest = 0.5 * (_log10(squares) + math.log10((1.0 + math.sqrt(1.0 - ratio)) / 2.0))
    return np.array([largest, _log10(determinant) - largest])


def _log10(value: Fraction) -> float:
    """Of any size: math.log10 takes integers beyond float64."""
    return math.log10(value.numerator) - math.log10(value.denominator)
