"""The gated recurrent unit with its reset gate after the product, for one sample and one step."""

from __future__ import annotations

import math
from typing import Any

from implementations.backends.naive.algebra import (
    Equations,
    State,
    Vector,
    Weights,
    add,
    affine,
    multiply,
    products_back,
    sigmoid,
    thirds,
)


def step(w: Weights, x: Vector, state: State) -> tuple[State, Any]:
    """n = tanh(W_in x + b_in + r⊙(W_hn h + b_hn)),  h' = (1−z)⊙n + z⊙h."""
    (h,) = state
    x_r, x_z, x_n = thirds(affine(w.weight_ih, x, w.bias_ih))
    h_r, h_z, m = thirds(affine(w.weight_hh, h, w.bias_hh))
    r = [sigmoid(v) for v in add(x_r, h_r)]
    z = [sigmoid(v) for v in add(x_z, h_z)]
    n = [math.tanh(v) for v in add(x_n, multiply(r, m))]

    h_next = [(1 - z) * n + z * h for z, n, h in zip(z, n, h, strict=True)]
    return (h_next,), (r, z, n, m)


def back(w: Weights, total: Weights, x: Vector, state: State, kept: Any, grad: State) -> tuple[Vector, State]:
    (h,), (grad_h,) = state, grad
    delta_r, delta_z, delta_n, delta_m, through = [], [], [], [], []
    for h_u, r, z, n, m, dh in zip(h, *kept, grad_h, strict=True):
        d_n = dh * (1 - z) * (1 - n**2)
        delta_r.append(d_n * m * r * (1 - r))
        delta_z.append(dh * (h_u - n) * z * (1 - z))
        delta_n.append(d_n)
        delta_m.append(d_n * r)
        through.append(dh * z)
    delta_ih = delta_r + delta_z + delta_n
    delta_hh = delta_r + delta_z + delta_m
    grad_x, grad_products = products_back(w, total, x, h, delta_ih, delta_hh)
    return grad_x, (add(through, grad_products),)


EQUATIONS = {"gru": Equations(step, back)}
