"""Theory against itself: numbers from papers, limits, and points where two formulas must meet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.row import Row, close


@check("theory")
def mean_field_limits() -> Iterator[Row]:
    """χ = g² where the network falls silent; χ = 1 on the edge; g_c = 1 without input."""
    for gain in (0.3, 1.0):
        found = gradients.tanh_mean_field(gain)
        yield close(f"mean field, g = {gain}, no input: q", 0.0, found.variance, 0.0)
        yield close(f"mean field, g = {gain}, no input: χ = g²", gain**2, found.chi, 1e-14)
    yield close("edge of chaos without input: g", 1.0, gradients.edge_of_chaos_gain(0.0), 0.0)
    for variance in (1e-6, 0.1, 1.0, 50.0):
        gain = gradients.edge_of_chaos_gain(variance)
        chi = gradients.tanh_mean_field(gain, variance).chi
        yield close(f"edge of chaos, σ² = {variance}, g = {gain:.6f}: χ", 1.0, chi, 1e-10)


@check("theory")
def mean_field_by_sampling() -> Iterator[Row]:
    """The averages over z by a mean over quantiles of N(0, 1), at the fixed point that theory gives."""
    from scipy.special import ndtri

    count = 200_000
    z = ndtri((np.arange(count) + 0.5) / count)
    for gain, variance in ((2.0, 0.0), (1.5, 1.0), (4.0, 0.2)):
        found = gradients.tanh_mean_field(gain, variance)
        tanh = np.tanh(np.sqrt(found.variance) * z)
        yield close(
            f"mean field, g = {gain}, σ² = {variance}: q = g²·E tanh² + σ²",
            gain**2 * np.mean(tanh**2) + variance,
            found.variance,
            1e-5,
            relative=True,
        )
        yield close(
            f"mean field, g = {gain}, σ² = {variance}: χ = g²·E sech⁴",
            gain**2 * np.mean((1.0 - tanh**2) ** 2),
            found.chi,
            1e-5,
            relative=True,
        )


@check("theory")
def random_matrix_limits() -> Iterator[Row]:
    """N = 1: E ln|z| = −(γ + ln 2)/2; large N: λ₁ to ln g − 1/(2N), half-way ln g + ½·ln ½."""
    one = gradients.random_product_exponents(1)[0]
    yield close(
        "random matrices, N = 1: λ = −(γ + ln 2)/2", -(np.euler_gamma + np.log(2.0)) / 2.0, one, 1e-14
    )
    large = gradients.random_product_exponents(1000, 1.7)
    yield close("random matrices, N = 1000, g = 1.7: λ₁", np.log(1.7) - 1 / 2000, large[0], 1e-6)
    yield close(
        "random matrices, N = 1000, g = 1.7: λ_500", np.log(1.7) + 0.5 * np.log(0.5), large[500], 2e-3
    )


@check("theory")
def forget_gate() -> Iterator[Row]:
    """log10 σ(b_f)^lag, far into saturation on both sides."""
    from harness.validation.networks import biases_alone

    for bias in (-700.0, -3.0, 0.0, 5.0, 40.0):
        network = biases_alone("lstm", {"f": np.array([bias])}, seq_len=1)
        got = gradients.log10_forget_gate_decay("lstm", network.parameters, [0, 1, 1000])
        one = -np.log1p(np.exp(-bias)) if bias > 0 else bias - np.log1p(np.exp(bias))
        yield close(
            f"σ(b_f)^lag, b_f = {bias}, lags 0, 1, 1000: log10",
            np.array([0, 1, 1000]) * one / np.log(10.0),
            got,
            1e-14,
            relative=True,
        )
