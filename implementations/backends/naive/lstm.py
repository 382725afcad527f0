"""The long short-term memory, for one sample and one step."""

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
    products_back,
    quarters,
    sigmoid,
)


def step(w: Weights, x: Vector, state: State) -> tuple[State, Any]:
    """c' = f⊙c + i⊙g,  h' = o⊙tanh(c')."""
    h, c = state
    a = add(affine(w.weight_ih, x, w.bias_ih), affine(w.weight_hh, h, w.bias_hh))
    a_i, a_f, a_g, a_o = quarters(a)
    i = [sigmoid(v) for v in a_i]
    f = [sigmoid(v) for v in a_f]
    g = [math.tanh(v) for v in a_g]
    o = [sigmoid(v) for v in a_o]

    c_next = [f * c + i * g for f, c, i, g in zip(f, c, i, g, strict=True)]
    tanh_c = [math.tanh(v) for v in c_next]
    h_next = [o * v for o, v in zip(o, tanh_c, strict=True)]
    return (h_next, c_next), (i, f, g, o, tanh_c)


def back(w: Weights, total: Weights, x: Vector, state: State, kept: Any, grad: State) -> tuple[Vector, State]:
    (h, c), (grad_h, grad_c_next) = state, grad
    delta_i, delta_f, delta_g, delta_o, grad_c = [], [], [], [], []
    for c_u, i, f, g, o, tanh_c, dh, dc in zip(c, *kept, grad_h, grad_c_next, strict=True):
        dc = dc + dh * o * (1 - tanh_c**2)
        delta_i.append(dc * g * i * (1 - i))
        delta_f.append(dc * c_u * f * (1 - f))
        delta_g.append(dc * i * (1 - g**2))
        delta_o.append(dh * tanh_c * o * (1 - o))
        grad_c.append(dc * f)
    delta = delta_i + delta_f + delta_g + delta_o
    grad_x, grad_h = products_back(w, total, x, h, delta, delta)
    return grad_x, (grad_h, grad_c)


EQUATIONS = {"lstm": Equations(step, back)}
