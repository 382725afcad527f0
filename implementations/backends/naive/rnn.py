"""The simple recurrent networks, for one sample and one step."""

from __future__ import annotations

import math
from collections.abc import Callable

from implementations.backends.naive.algebra import (
    Equations,
    State,
    Vector,
    Weights,
    add,
    affine,
    products_back,
)

Activation = Callable[[float], float]


def simple(phi: Activation, slope: Activation) -> Equations:
    """h' = φ(a),  a = W_ih x + b_ih + W_hh h + b_hh."""

    def step(w: Weights, x: Vector, state: State) -> tuple[State, Vector]:
        (h,) = state
        a = add(affine(w.weight_ih, x, w.bias_ih), affine(w.weight_hh, h, w.bias_hh))
        return ([phi(v) for v in a],), a

    def back(
        w: Weights, total: Weights, x: Vector, state: State, a: Vector, grad: State
    ) -> tuple[Vector, State]:
        (h,), (grad_h,) = state, grad
        delta = [g * slope(v) for g, v in zip(grad_h, a, strict=True)]
        grad_x, grad_h = products_back(w, total, x, h, delta, delta)
        return grad_x, (grad_h,)

    return Equations(step, back)


def preactivation(phi: Activation, slope: Activation) -> Equations:
    """h' = W_ih x + b_ih + W_hh φ(h) + b_hh."""

    def step(w: Weights, x: Vector, state: State) -> tuple[State, Vector]:
        (h,) = state
        value = [phi(v) for v in h]
        return (add(affine(w.weight_ih, x, w.bias_ih), affine(w.weight_hh, value, w.bias_hh)),), value

    def back(
        w: Weights, total: Weights, x: Vector, state: State, value: Vector, grad: State
    ) -> tuple[Vector, State]:
        (h,), (delta,) = state, grad
        grad_x, grad_value = products_back(w, total, x, value, delta, delta)
        return grad_x, ([g * slope(v) for g, v in zip(grad_value, h, strict=True)],)

    return Equations(step, back)


def tanh_slope(a: float) -> float:
    return 1 - math.tanh(a) ** 2


# "a <= 0" and not "a > 0": NaN comes out of both, as it does in PyTorch
def relu(a: float) -> float:
    return 0.0 if a <= 0 else a


def relu_slope(a: float) -> float:
    return 0.0 if a <= 0 else 1.0


def identity(a: float) -> float:
    return a


def one(a: float) -> float:
    return 1.0


EQUATIONS = {
    "rnn_tanh": simple(math.tanh, tanh_slope),
    "rnn_relu": simple(relu, relu_slope),
    "rnn_linear": simple(identity, one),
    "rnn_tanh_preactivation": preactivation(math.tanh, tanh_slope),
    "rnn_relu_preactivation": preactivation(relu, relu_slope),
}
