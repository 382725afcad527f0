"""Products of Jacobians of any network: bounds, chunks, anchors, and the other form of the simple RNN."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.networks import Network, blocks_of, decay, drawn
from harness.validation.row import Row, at_most, close
from implementations.registry import CELLS


@check("products")
def bounds() -> Iterator[Row]:
    """‖P‖₂ <= Π‖J‖₂ for every cell, <= (max‖φ'‖·‖W‖₂)^lag for the simple ones."""
    for cell in CELLS:
        network = drawn(cell, seq_len=50, hidden_size=6, gain=1.6)
        block = blocks_of(cell)[-1]
        found = decay(network, blocks=(block,)).log10_spectral_norm[block]
        product = gradients.log10_product_bound(
            cell, network.parameters, network.inputs, initial_state=network.start
        )
        yield at_most(f"{cell}: log10 ‖P‖₂ <= Σ log10 ‖J‖₂, lags 0…50", product, found, slack=1e-10)
        if gradients.has_norm_bound(cell):
            bound = gradients.log10_norm_bound(cell, network.parameters, range(51))[:, None]
            norm = np.linalg.svd(network.parameters.weight_hh)[1][0]
            yield close(
                f"{cell}: the bound at lag 50 is 50·log10 ‖W‖₂", 50 * np.log10(norm), bound[-1, 0], 1e-12
            )
            yield at_most(f"{cell}: Σ log10 ‖J‖₂ <= lag·log10 β_W β_h", bound, product, slack=1e-10)


@check("products")
def chunking() -> Iterator[Row]:
    """P(t, k) = P(t, m)·P(m, k), and the engine's norms of it, block by block."""
    for cell in CELLS:
        network = drawn(cell, seq_len=12, hidden_size=4, gain=1.4)
        whole = network.product(12, 3)
        found = decay(network, lags=[9], blocks=blocks_of(cell))
        for m in (4, 8):
            parts = network.product(12, m) @ network.product(m, 3)
            yield close(f"{cell}: P(12, 3) = P(12, {m})·P({m}, 3)", whole, parts, 1e-13, relative=True)
        for block in blocks_of(cell):
            expected = np.linalg.svd(network.block(whole, block), compute_uv=False)
            spectral, frobenius = found.log10_spectral_norm[block][0], found.log10_frobenius_norm[block][0]
            yield close(
                f"{cell}: log10 norms of block {block} of P(12, 3)",
                np.log10([expected[:, 0], np.linalg.norm(expected, axis=1)]),
                [spectral, frobenius],
                1e-10,
            )


@check("products")
def anchors() -> Iterator[Row]:
    """The norms at an anchor t < T are those of the sequence cut at t."""
    for cell in CELLS:
        network = drawn(cell, seq_len=12, hidden_size=4)
        found = decay(network, anchor=7, lags=[0, 5]).log10_frobenius_norm["hh"]
        expected = np.linalg.norm(network.block(network.product(7, 2), "hh"), axis=(1, 2))
        yield close(f"{cell}: anchor 7, lag 0: log10 ‖I‖_F", [np.log10(2.0)] * 2, found[0], 1e-12)
        yield close(f"{cell}: anchor 7, lag 5: log10 ‖P(7, 2)‖_F", np.log10(expected), found[1], 1e-10)


@check("products")
def preactivation_form() -> Iterator[Row]:
    """State a in place of h = tanh a: P_a = diag(φ'(a_t))⁻¹ P_h diag(φ'(a_k)), the same network otherwise."""
    lag = 30
    outer = drawn("rnn_tanh", seq_len=lag, hidden_size=5, batch_size=1)
    start = np.arctanh(0.5 * np.tanh(outer.start[0]))
    outer = Network("rnn_tanh", outer.parameters, outer.inputs, (np.tanh(start),))
    inner = Network("rnn_tanh_preactivation", outer.parameters, outer.inputs, (start,))
    final = inner.states()[-1][0][0]
    yield close("pre-activation form: h_t = tanh a_t", outer.states()[-1][0][0], np.tanh(final), 1e-13)
    slopes = np.diag(np.cosh(final) ** 2), np.diag(np.cosh(start[0]) ** -2.0)
    expected = np.linalg.norm(slopes[0] @ outer.product(lag, 0)[0] @ slopes[1], 2)
    got = decay(inner, lags=[lag]).log10_spectral_norm["hh"][0, 0]
    yield close(f"pre-activation form, lag {lag}: log10 ‖P_a‖₂ from P_h", np.log10(expected), got, 1e-10)
