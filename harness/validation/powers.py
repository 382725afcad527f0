"""Powers of a matrix in the linear and the ReLU network, of which every number is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.validation.check import check
from harness.validation.networks import autonomous, decay, normal_matrix, orthogonal, spectrum
from harness.validation.row import Row, close


@check("powers")
def scalar_linear() -> Iterator[Row]:
    """w^lag, in plain numbers and where those end."""
    for w, plain in ((1.01, 20959.1556), (0.99, 4.31712e-5), (-1.02, 1.02**1000), (0.5, 0.5**1000)):
        network = autonomous("rnn_linear", np.array([[w]]), seq_len=1000)
        got = 10 ** decay(network, lags=[1000]).log10_spectral_norm["hh"][0, 0]
        yield close(f"scalar linear w = {w}, lag 1000", plain, got, 2e-6, relative=True)
    for w, nats in ((1.01, 995.0331), (0.99, -1005.0336)):
        network = autonomous("rnn_linear", np.array([[w]]), seq_len=100_000)
        found = decay(network, lags=[1, 12_345, 100_000])
        got = np.log(10.0) * found.log10_spectral_norm["hh"][:, 0]
        yield close(f"scalar linear w = {w}, lag 100 000, nats, as published", nats, got[-1], 5e-5)
        yield close(
            f"scalar linear w = {w}, lag·ln w at 1, 12 345, 100 000",
            np.array([1, 12_345, 100_000]) * np.log(w),
            got,
            1e-8,
        )
        frobenius = np.log(10.0) * found.log10_frobenius_norm["hh"][:, 0]
        yield close(f"scalar linear w = {w}, Frobenius norm = 2-norm", got, frobenius, 1e-8)


@check("powers")
def scaled_orthogonal() -> Iterator[Row]:
    """W = c·Q: every singular value c^lag."""
    for size, c, lag in ((2, 1.0, 700), (7, 0.8, 60), (16, 1.05, 1000), (5, 3.0, 900)):
        network = autonomous("rnn_linear", c * orthogonal(size, seed=size), seq_len=lag)
        expected = np.full(size, lag * np.log10(c))
        yield close(
            f"c·Q, N = {size}, c = {c}, lag {lag}: log10 of all singular values",
            expected,
            spectrum(network, lag)[0],
            1e-10,
        )
        got = decay(network, lags=[lag]).log10_frobenius_norm["hh"][0, 0]
        yield close(
            f"c·Q, N = {size}, c = {c}, lag {lag}: Frobenius norm √N·c^lag",
            expected[0] + 0.5 * np.log10(size),
            got,
            1e-10,
        )


@check("powers")
def normal() -> Iterator[Row]:
    """W normal: σ_i = |λ_i|^lag."""
    for eigenvalues, lag in (
        ([1.1, -0.9, 0.5, 0.1], 100),
        ([1.02, 1.0, -0.98, 0.3, -0.01, 0.001], 50),
        ([2.0, 0.5], 400),
    ):
        network = autonomous("rnn_linear", normal_matrix(np.array(eigenvalues)), seq_len=lag)
        expected = lag * np.sort(np.log10(np.abs(eigenvalues)))[::-1]
        # An eigenvalue is given with the rounding of W's entries, relative to the largest of them.
        tolerance = lag * 1e-15 * max(np.abs(eigenvalues)) / min(np.abs(eigenvalues)) + 1e-10
        yield close(
            f"normal, |λ| {max(eigenvalues)} to {min(np.abs(eigenvalues))}, lag {lag}: log10 σ",
            expected,
            spectrum(network, lag)[0],
            tolerance,
        )


@check("powers")
def jordan_block() -> Iterator[Row]:
    """W = [[a, b], [0, a]]: σ± = (√(q² + 4p²) ± q)/2, p = aⁿ, q = n·aⁿ⁻¹·b; it grows before it falls."""
    network = autonomous("rnn_linear", np.array([[0.9, 1.0], [0.0, 0.9]]), seq_len=60)
    norms = 10 ** decay(network).log10_spectral_norm["hh"][:, 0]
    yield close("Jordan block a = 0.9, b = 1: lag of the largest norm", 9, int(np.argmax(norms)), 0.0)
    yield close("Jordan block a = 0.9, b = 1: norm there, as published", 3.91257, norms[9], 5e-6)
    for a, b, n in ((0.9, 1.0, 9), (0.9, 1.0, 400), (-0.7, 2.0, 33), (1.0, 0.5, 1000), (1.1, 1e-3, 25)):
        network = autonomous("rnn_linear", np.array([[a, b], [0.0, a]]), seq_len=n)
        p, q = abs(a) ** n, n * abs(a) ** (n - 1) * b
        larger = (np.sqrt(q**2 + 4.0 * p**2) + q) / 2.0
        yield close(
            f"Jordan block a = {a}, b = {b}, lag {n}: log10 of both singular values",
            np.log10([larger, p**2 / larger]),
            spectrum(network, n)[0],
            1e-10,
        )


@check("powers")
def nilpotent() -> Iterator[Row]:
    """A shift of size N: at lag n, N − n singular values 1 and n exactly 0; nothing is left from lag N on."""
    for size in (3, 8):
        network = autonomous("rnn_linear", np.eye(size, k=1), seq_len=size + 2)
        for lag in (1, size - 1, size):
            expected = np.where(np.arange(size) < size - lag, 0.0, -np.inf)
            got = spectrum(network, lag)[0]
            yield close(f"nilpotent shift N = {size}, lag {lag}: log10 σ", expected, got, 0.0)
        norms = decay(network, lags=[size - 1, size, size + 2])
        for kind, values in (("2-", norms.log10_spectral_norm), ("Frobenius ", norms.log10_frobenius_norm)):
            yield close(
                f"nilpotent shift N = {size}: log10 {kind}norm at lags N−1, N, N+2",
                [0.0, -np.inf, -np.inf],
                values["hh"][:, 0],
                1e-15,
            )


@check("powers")
def relu_identity() -> Iterator[Row]:
    """W = I, positive pre-activations: P = I; a dead unit is a row of zeros."""
    alive = autonomous("rnn_relu", np.eye(5), start=0.3, seq_len=2000)
    yield close("ReLU identity, lag 2000: log10 σ", np.zeros(5), spectrum(alive, 2000)[0], 0.0)
    dead = autonomous("rnn_relu", np.eye(5), bias=np.array([0, 0, -9.0, 0, 0]), start=0.3, seq_len=300)
    yield close(
        "ReLU identity with a dead unit, lag 300: log10 σ", [0.0] * 4 + [-np.inf], spectrum(dead, 300)[0], 0.0
    )
    got = decay(dead, lags=[300]).log10_frobenius_norm["hh"][0, 0]
    yield close("ReLU identity with a dead unit, lag 300: log10 ‖P‖_F", np.log10(2.0), got, 1e-12)
