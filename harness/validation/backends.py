"""What each backend computes through its own backward, in every dtype it has, against the closed forms.

Tolerances are those of :mod:`implementations.tolerances`, relative to the largest entry of what is expected.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.formulas import Array, logistic
from harness.validation.networks import Network, autonomous, biases_alone, drawn, orthogonal
from harness.validation.row import Row, close
from implementations.contract import Backend, Layer
from implementations.registry import CELLS
from implementations.tolerances import RELATIVE_TOLERANCE

PLAIN = ("float64", "float32")
"""Dtypes in which a product of many factors is held to its closed form; coarser ones only to few steps."""


def border(dtype: str) -> str:
    """The dtype in which arrays of a layer of this dtype cross the border."""
    return "float64" if dtype == "float64" else "float32"


def layer_of(backend: Backend, network: Network, dtype: str) -> Layer | None:
    """The network's cell bound, or None where this backend cannot have it (which is said before its rows)."""
    if backend.why_unsupported(network.cell, dtype, training=True, seq_len=len(network.inputs)) is not None:
        return None
    return backend.bind(network.cell, network.parameters.astype(border(dtype)), dtype)


def measured(layer: Layer, network: Network, lag: int, anchor: int | None = None) -> Array:
    kind = border(layer.dtype)
    return gradients.measured_jacobian(
        layer,
        network.inputs.astype(kind),
        initial_state=tuple(array.astype(kind) for array in network.start),
        anchor=anchor,
        lag=lag,
    )


def compare(
    backend: Backend, dtype: str, name: str, network: Network, lag: int, expected: Array, block: str = "ss"
) -> Iterator[Row]:
    """One row where the backend has the cell: a block of ∂s_t/∂s_{t−lag} of the first sample."""
    layer = layer_of(backend, network, dtype)
    if layer is not None:
        got = network.block(measured(layer, network, lag), block)[0]
        yield close(
            f"{network.cell}: {name}", expected, got, RELATIVE_TOLERANCE[dtype]["gradient"], relative=True
        )


@check("backends", of_backends=True)
def analytic_product(backend: Backend, dtype: str) -> Iterator[Row]:
    """`measured_jacobian` of every cell is the product of analytic Jacobians."""
    for cell in CELLS:
        for size, anchor, lag in (
            ((6, 9, 1), (6, 9, 6), (3, 40, 40)) if dtype in PLAIN else ((6, 9, 1), (6, 9, 6))
        ):
            network = drawn(cell, seq_len=anchor + 1, hidden_size=size, gain=1.2, dtype=dtype)
            layer = layer_of(backend, network, dtype)
            if layer is None:
                continue
            expected = network.product(anchor, anchor - lag)
            got = measured(layer, network, lag, anchor)
            yield close(
                f"{cell}: measured = analytic, H = {size}, lag {lag}",
                expected,
                got,
                RELATIVE_TOLERANCE[dtype]["gradient"],
                relative=True,
            )


@check("backends", of_backends=True)
def chunking(backend: Backend, dtype: str) -> Iterator[Row]:
    """P(9, 2) = P(9, 6)·P(6, 2), all three measured."""
    for cell in CELLS:
        network = drawn(cell, seq_len=9, hidden_size=4, gain=1.2, dtype=dtype)
        layer = layer_of(backend, network, dtype)
        if layer is None:
            continue
        whole = measured(layer, network, 7)
        parts = measured(layer, network, 3) @ measured(layer, network, 4, anchor=6)
        tolerance = RELATIVE_TOLERANCE[dtype]["gradient"]
        yield close(f"{cell}: P(9, 2) = P(9, 6)·P(6, 2)", whole, parts, tolerance, relative=True)


@check("backends", of_backends=True)
def own_forward(backend: Backend, dtype: str) -> Iterator[Row]:
    """⟨u, Jv⟩ = ⟨Jᵀu, v⟩: v by differences of the backend's forward, u by its backward (float64 alone)."""
    if dtype != "float64":
        return
    for cell in CELLS:
        network = drawn(cell, seq_len=8, hidden_size=4, batch_size=1)
        layer = layer_of(backend, network, dtype)
        if layer is None:
            continue
        rng = np.random.default_rng(2)
        u, v = rng.standard_normal((2, 4 * len(network.start)))
        width = 1e-4
        ends = {n: _final(layer, network, n * width * v) for n in (-2, -1, 1, 2)}
        forward = (8.0 * (ends[1] - ends[-1]) - (ends[2] - ends[-2])) / (12.0 * width)
        yield close(
            f"{cell}: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, lag 8",
            u @ forward,
            (u @ measured(layer, network, 8)[0]) @ v,
            1e-9,
            relative=True,
        )


def _final(layer: Layer, network: Network, shift: Array) -> Array:
    """The state after all steps, from a start that is shifted."""
    start = np.split(np.concatenate(network.start, axis=1) + shift, len(network.start), axis=1)
    native = layer.backend.to_native
    forward = layer.forward(native(network.inputs), tuple(native(a.copy()) for a in start), training=False)
    return np.concatenate([layer.backend.to_numpy(array)[0] for array in forward.final_state])


@check("backends", of_backends=True)
def powers(backend: Backend, dtype: str) -> Iterator[Row]:
    """Powers of W in the linear network, and in the ReLU network where all units stay positive."""
    if dtype not in PLAIN:
        return
    cells = ("rnn_linear", "rnn_relu")
    for cell in cells:
        for w in (1.01, 0.99):
            weight = np.array([[w]]).astype(border(dtype)).astype("float64")
            network = autonomous(cell, weight, start=0.5, seq_len=1000)
            yield from compare(backend, dtype, f"scalar w = {w}, lag 1000", network, 1000, weight**1000)
        shift = autonomous(cell, np.eye(5, k=1), bias=1.0, start=0.5, seq_len=6)
        for lag in (2, 4, 5):
            yield from compare(
                backend, dtype, f"nilpotent shift N = 5, lag {lag}", shift, lag, np.eye(5, k=lag)
            )
        permutation = 1.02 * np.roll(np.eye(6), 1, axis=1)
        network = autonomous(cell, permutation, start=0.5, seq_len=60)
        yield from compare(backend, dtype, "1.02·permutation, lag 60", network, 60, 1.02**60 * np.eye(6))
        jordan = autonomous(cell, np.array([[0.9, 1.0], [0.0, 0.9]]), start=0.5, seq_len=9)
        expected = np.array([[0.9**9, 9 * 0.9**8], [0.0, 0.9**9]])
        yield from compare(backend, dtype, "Jordan block a = 0.9, b = 1, lag 9", jordan, 9, expected)
    rotation = autonomous("rnn_linear", orthogonal(5), start=0.5, seq_len=50)
    layer = layer_of(backend, rotation, dtype)
    if layer is not None:
        values = np.linalg.svd(measured(layer, rotation, 50)[0], compute_uv=False)
        yield close(
            "rnn_linear: orthogonal W, lag 50: σ", np.ones(5), values, RELATIVE_TOLERANCE[dtype]["gradient"]
        )


@check("backends", of_backends=True)
def units_on_and_off(backend: Backend, dtype: str) -> Iterator[Row]:
    """ReLU with W = I: P = I, and a dead unit is a row of zeros."""
    alive = autonomous("rnn_relu", np.eye(4), start=0.3, seq_len=200)
    yield from compare(backend, dtype, "W = I, lag 200", alive, 200, np.eye(4))
    dead = autonomous("rnn_relu", np.eye(4), bias=np.array([0.0, -9.0, 0.0, 0.0]), start=0.3, seq_len=20)
    yield from compare(
        backend, dtype, "W = I, one unit dead, lag 20", dead, 20, np.diag([1.0, 0.0, 1.0, 1.0])
    )


@check("backends", of_backends=True)
def gates_of_biases(backend: Backend, dtype: str) -> Iterator[Row]:
    """Gated cells with all weights 0: the blocks of the LSTM, σ(b_z)^lag of the GRUs, f at 1."""
    lag = 12
    b_f, b_o = np.array([1.0, 3.0, 0.5]), np.array([0.2, 1.0, -1.0])
    lstm = biases_alone("lstm", {"f": b_f, "o": b_o, "i": b_o, "g": b_o}, seq_len=lag)
    f, c = logistic(b_f), lstm.states()[-1][1][0]
    zero = np.zeros((3, 3))
    for block, expected in {
        "cc": np.diag(f**lag),
        "hc": np.diag(logistic(b_o) * (1.0 - np.tanh(c) ** 2) * f**lag),
        "ch": zero,
        "hh": zero,
    }.items():
        yield from compare(backend, dtype, f"gates of biases, lag {lag}: {block}", lstm, lag, expected, block)
    open_gate = biases_alone("lstm", {"f": np.full(3, 60.0), "i": np.full(3, -60.0)}, seq_len=300)
    yield from compare(backend, dtype, "f at 1, i at 0, lag 300: cc", open_gate, 300, np.eye(3), "cc")
    for cell in ("gru", "gru_reset_before"):
        b_z = np.array([2.0, 0.5, 4.0])
        network = biases_alone(cell, {"z": b_z, "r": b_z[::-1], "n": 0.1 * b_z}, seq_len=lag)
        yield from compare(
            backend, dtype, f"gates of biases, lag {lag}", network, lag, np.diag(logistic(b_z) ** lag)
        )
