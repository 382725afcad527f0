"""The one-step Jacobians by hand, for one sample, in NumPy: what the cells' own are held against.

They share no line with the cells.  U_q is the block of W_hh of gate q, and every vector stands for a diagonal
matrix where a matrix is multiplied from the left by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Parameters

Array = NDArray[Any]
State = tuple[Array, ...]


def logistic(a: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-a))


def slope(a: Array) -> Array:
    """σ'(a) = σ(a)·σ(−a)."""
    return logistic(a) * logistic(-a)


def affine(parameters: Parameters, x: Array, h: Array, gate: int) -> tuple[Array, Array]:
    """W_iq x + b_iq and W_hq h + b_hq of the gate at this place, (H,) each."""
    rows = slice(gate * len(h), (gate + 1) * len(h))
    return (
        parameters.weight_ih[rows] @ x + parameters.bias_ih[rows],
        parameters.weight_hh[rows] @ h + parameters.bias_hh[rows],
    )


def recurrent_blocks(parameters: Parameters) -> list[Array]:
    """U_q of every gate, in the cell's order."""
    return np.split(parameters.weight_hh, parameters.num_gates)


def rnn_tanh(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """diag(1 − h'²) W."""
    later = np.tanh(sum(affine(parameters, x, state[0], 0)))
    return {"hh": np.diag(1.0 - later**2) @ parameters.weight_hh}


def rnn_relu(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """diag(a > 0) W."""
    a = np.add(*affine(parameters, x, state[0], 0))
    return {"hh": np.diag(np.where(a > 0.0, 1.0, 0.0)) @ parameters.weight_hh}


def rnn_linear(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """W."""
    return {"hh": parameters.weight_hh}


def rnn_tanh_preactivation(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """W diag(sech² h)."""
    return {"hh": parameters.weight_hh @ np.diag(np.cosh(state[0]) ** -2.0)}


def rnn_relu_preactivation(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """W diag(h > 0)."""
    return {"hh": parameters.weight_hh @ np.diag(np.where(state[0] > 0.0, 1.0, 0.0))}


def lstm(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """With k = o(1 − tanh²c'): cc = f; ch = g i' U_i + c f' U_f + i(1 − g²) U_g; hc = k f;
    hh = tanh c' o' U_o + k ch."""
    h, c = state
    a_i, a_f, a_g, a_o = (np.add(*affine(parameters, x, h, gate)) for gate in range(4))
    u_i, u_f, u_g, u_o = recurrent_blocks(parameters)
    i, f, g, o = logistic(a_i), logistic(a_f), np.tanh(a_g), logistic(a_o)
    later = f * c + i * g
    k = o * (1.0 - np.tanh(later) ** 2)
    ch = np.diag(g * slope(a_i)) @ u_i + np.diag(c * slope(a_f)) @ u_f + np.diag(i * (1.0 - g**2)) @ u_g
    hh = np.diag(np.tanh(later) * slope(a_o)) @ u_o + np.diag(k) @ ch
    blocks = {"hh": hh, "hc": np.diag(k * f), "ch": ch, "cc": np.diag(f)}
    return blocks | {"ss": np.block([[blocks["hh"], blocks["hc"]], [blocks["ch"], blocks["cc"]]])}


def gru(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """z + (h − n) z' U_z + (1 − z)(1 − n²)[r U_n + m r' U_r], m = U_n h + b_hn."""
    (h,) = state
    a_r, a_z = (np.add(*affine(parameters, x, h, gate)) for gate in range(2))
    entering, m = affine(parameters, x, h, 2)
    u_r, u_z, u_n = recurrent_blocks(parameters)
    r, z = logistic(a_r), logistic(a_z)
    n = np.tanh(entering + r * m)
    candidate = np.diag(r) @ u_n + np.diag(m * slope(a_r)) @ u_r
    outer = np.diag((1.0 - z) * (1.0 - n**2))
    return {"hh": np.diag(z) + np.diag((h - n) * slope(a_z)) @ u_z + outer @ candidate}


def gru_reset_before(parameters: Parameters, x: Array, state: State) -> dict[str, Array]:
    """z + (h − n) z' U_z + (1 − z)(1 − n²) U_n [r + h r' U_r]: h enters U_n (r⊙h) twice."""
    (h,) = state
    a_r, a_z = (np.add(*affine(parameters, x, h, gate)) for gate in range(2))
    u_r, u_z, u_n = recurrent_blocks(parameters)
    r, z = logistic(a_r), logistic(a_z)
    entering, recurrent = affine(parameters, x, r * h, 2)
    n = np.tanh(entering + recurrent)
    candidate = u_n @ (np.diag(r) + np.diag(h * slope(a_r)) @ u_r)
    outer = np.diag((1.0 - z) * (1.0 - n**2))
    return {"hh": np.diag(z) + np.diag((h - n) * slope(a_z)) @ u_z + outer @ candidate}


ONE_STEP: dict[str, Callable[[Parameters, Array, State], dict[str, Array]]] = {
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
    "rnn_linear": rnn_linear,
    "rnn_tanh_preactivation": rnn_tanh_preactivation,
    "rnn_relu_preactivation": rnn_relu_preactivation,
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
}
"""Cell -> (parameters, x (I,), state of (H,)) -> block -> matrix."""
