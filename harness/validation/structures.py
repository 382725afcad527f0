"""Structures of linear units, of which every path through time and depth can be counted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.gradients import depth_decay
from harness.validation.check import check
from harness.validation.row import Row, close
from implementations.contract import Parameters


def unit(recurrent: float, *read: float) -> Parameters:
    """h_t = recurrent·h_{t−1} + read·(what the layer reads)."""
    return Parameters(np.array([read]), np.array([[recurrent]]), np.zeros(1), np.zeros(1))


def inputs(seq_len: int) -> np.ndarray:
    return np.ones((seq_len, 1, 1))


@check("structures")
def two_layers() -> Iterator[Row]:
    """∂h²_t/∂h¹_k: lag + 1 places at which a path of `lag` steps may go up."""
    for a, u, seq_len in ((0.5, 2.0, 40), (0.1, 0.7, 1000), (1.0, 1.0, 200)):
        found = depth_decay("rnn_linear", [unit(a, 1.0), unit(a, u)], inputs(seq_len))
        lags = np.arange(seq_len)
        expected = np.log10(u) + np.log10(lags + 1) + lags * np.log10(a)
        got = found.log10_spectral_norm[2, 1][:, 0]
        yield close(f"two layers, u·(lag + 1)·a^lag, a = {a}, u = {u}, log10", expected, got, 1e-9)


@check("structures")
def skip_across_time() -> Iterator[Row]:
    """d(n) = a·d(n−1) + v·d(n−s)."""
    for a, v, s, seq_len in ((0.5, 0.9, 8, 100), (0.7, -0.6, 5, 60), (0.1, 0.5, 16, 600)):
        found = depth_decay("rnn_linear", [unit(a, 1.0, v)], inputs(seq_len), skip=s)
        expected = [1.0]
        for n in range(1, seq_len):
            expected.append(a * expected[-1] + (v * expected[n - s] if n >= s else 0.0))
        got = found.log10_spectral_norm[1, 1][:, 0]
        yield close(f"skip {s}, a = {a}, v = {v}, log10", np.log10(np.abs(expected)), got, 1e-9)


@check("structures")
def residual() -> Iterator[Row]:
    """At lag 0 layer L reads y_{L−1} = h_{L−1} + y_{L−2}: from layer 1 up, u·(1 + u)^(L−2)."""
    for u, layers in ((0.1, 3), (0.5, 6)):
        found = depth_decay("rnn_linear", [unit(0.3, u)] * layers, inputs(3), residual=True)
        got = 10 ** found.log10_spectral_norm[layers, 1][0, 0]
        yield close(
            f"residual, {layers} layers, u = {u}, lag 0",
            u * (1 + u) ** (layers - 2),
            got,
            1e-12,
            relative=True,
        )


@check("structures")
def both_ways() -> Iterator[Row]:
    """One layer: nothing passes between the directions, and each falls as a^|lag| on its own side."""
    a, seq_len, anchor = 0.4, 31, 16
    found = depth_decay("rnn_linear", [unit(a, 1.0)] * 2, inputs(seq_len), bidirectional=True, anchor=anchor)
    expected = np.abs(found.lags) * np.log10(a)
    yield close(f"both ways, a = {a}, log10", expected, found.log10_spectral_norm[1, 1][:, 0], 1e-10)
