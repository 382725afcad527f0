"""Products of independent random matrices, whose means are known exactly, put through the engine.

W with blocks W_1 … W_n below its diagonal is a linear network of n + 1 groups of N units; ∂h_t/∂h_{t−n} has
one block, W_n … W_1.  Sample means are held within 4.5 of their standard errors (the seeds are fixed).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.networks import Network, autonomous, spectrum
from harness.validation.row import Row, close

SAMPLES = 100


def chain(size: int, steps: int, gain: float, seed: int) -> Network:
    """Blocks iid N(0, g²/N) below the diagonal."""
    rng = np.random.default_rng([seed, size, steps])
    weight = np.zeros(((steps + 1) * size,) * 2)
    for n in range(steps):
        rows, columns = slice((n + 1) * size, (n + 2) * size), slice(n * size, (n + 1) * size)
        weight[rows, columns] = gain * rng.standard_normal((size, size)) / np.sqrt(size)
    return autonomous("rnn_linear", weight, seq_len=steps)


def mean_row(name: str, expected: float, samples: list[float]) -> Row:
    error = 4.5 * float(np.std(samples, ddof=1)) / np.sqrt(len(samples))
    return close(f"{name}, {len(samples)} draws", expected, np.mean(samples), error)


@check("random matrices")
def mean_square_norm() -> Iterator[Row]:
    """E‖P‖_F² = N·g^(2·lag)."""
    for size, steps, gain in ((4, 3, 1.0), (6, 4, 1.5)):
        samples = []
        for seed in range(SAMPLES):
            network = chain(size, steps, gain, seed)
            found = gradients.jacobian_decay("rnn_linear", network.parameters, network.inputs, lags=[steps])
            samples.append(100.0 ** found.log10_frobenius_norm["hh"][0, 0])
        yield mean_row(f"E‖P‖_F², N = {size}, g = {gain}, lag {steps}", size * gain ** (2 * steps), samples)
        (theory,) = gradients.log10_random_product_norm(size, gain, [steps])
        yield close(
            f"the same as theory gives it, N = {size}",
            0.5 * np.log10(size) + steps * np.log10(gain),
            theory,
            1e-14,
        )


@check("random matrices")
def growth() -> Iterator[Row]:
    """E ln‖Pᵀu‖ = n·λ₁, the largest of Newman's exponents, at any n and for any unit vector u."""
    for size, steps, gain in ((1, 6, 1.0), (3, 5, 0.7), (5, 4, 2.0)):
        expected = gradients.random_product_exponents(size, gain)[0]
        samples = []
        for seed in range(SAMPLES):
            network = chain(size, steps, gain, seed)
            last = np.zeros((1, (steps + 1) * size))
            last[0, -1] = 1.0
            found = gradients.adjoint_decay(
                "rnn_linear", network.parameters, network.inputs, grad_final_state=(last,)
            )
            samples.append(np.log(10.0) / steps * found.log10_total[0, 0])
        yield mean_row(f"E ln‖Pᵀu‖/lag, N = {size}, g = {gain}, lag {steps}", expected, samples)


@check("random matrices")
def volume() -> Iterator[Row]:
    """E ln|det P| = n·Σλ_i, and exact zeros for all the singular values that no path of n steps feeds."""
    for size, steps, gain in ((1, 6, 1.0), (3, 5, 0.7), (5, 4, 2.0)):
        expected = gradients.random_product_exponents(size, gain).sum()
        spectra = np.log(10.0) * np.array(
            [spectrum(chain(size, steps, gain, seed), steps)[0] for seed in range(SAMPLES // 2)]
        )
        samples = list(spectra[:, :size].sum(axis=1) / steps)
        yield mean_row(f"E ln|det P|/lag, N = {size}, g = {gain}, lag {steps}", expected, samples)
        rest = spectra[:, size:]
        name = f"singular values without a path, N = {size}, lag {steps}: log10"
        yield close(name, np.full_like(rest, -np.inf), rest, 0.0)
