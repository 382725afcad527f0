"""The gated recurrent unit with its reset gate before the product, for one sample and one step."""

from __future__ import annotations

import math
from typing import Any

from implementations.backends.naive.algebra import (
    Equations,
    State,
    Vector,
    Weights,
    add,
    add_outer,
    add_to,
    affine,
    multiply,
    sigmoid,
    thirds,
    transposed,
)


def step(w: Weights, x: Vector, state: State) -> tuple[State, Any]:
    """n = tanh(W_in x + b_in + W_hn (r⊙h) + b_hn),  h' = (1−z)⊙n + z⊙h."""
    (h,) = state
    size = len(h)
    x_r, x_z, x_n = thirds(affine(w.weight_ih, x, w.bias_ih))
    gates = affine(w.weight_hh[: 2 * size], h, w.bias_hh[: 2 * size])
    r = [sigmoid(v) for v in add(x_r, gates[:size])]
    z = [sigmoid(v) for v in add(x_z, gates[size:])]
    rh = multiply(r, h)
    n = [math.tanh(v) for v in add(x_n, affine(w.weight_hh[2 * size :], rh, w.bias_hh[2 * size :]))]

    h_next = [(1 - z) * n + z * h for z, n, h in zip(z, n, h, strict=True)]
    return (h_next,), (r, z, n, rh)


def back(w: Weights, total: Weights, x: Vector, state: State, kept: Any, grad: State) -> tuple[Vector, State]:
    (h,), (grad_h,) = state, grad
    r, z, n, rh = kept
    size = len(h)
    w_rz, w_n = w.weight_hh[: 2 * size], w.weight_hh[2 * size :]
    delta_n = [dh * (1 - z) * (1 - n**2) for dh, z, n in zip(grad_h, z, n, strict=True)]
    delta_z = [dh * (h - n) * z * (1 - z) for dh, h, z, n in zip(grad_h, h, z, n, strict=True)]
    grad_rh = transposed(w_n, delta_n)
    delta_r = [d * h * r * (1 - r) for d, h, r in zip(grad_rh, h, r, strict=True)]
    delta_rz = delta_r + delta_z
    delta = delta_rz + delta_n

    add_outer(total.weight_ih, delta, x)
    add_outer(total.weight_hh[: 2 * size], delta_rz, h)
    add_outer(total.weight_hh[2 * size :], delta_n, rh)
    add_to(total.bias_ih, delta)
    add_to(total.bias_hh, delta)
    through = add(multiply(grad_h, z), multiply(grad_rh, r))
    return transposed(w.weight_ih, delta), (add(through, transposed(w_rz, delta_rz)),)


EQUATIONS = {"gru_reset_before": Equations(step, back)}
