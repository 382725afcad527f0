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
"""φ(a)."""
ActivationBack = Callable[[float, float], float]
"""dL/dφ(a), a -> dL/da."""


def simple(phi: Activation, phi_back: ActivationBack) -> Equations:
    """h' = φ(a),  a = W_ih x + b_ih + W_hh h + b_hh."""

    def step(w: Weights, x: Vector, state: State) -> tuple[State, Vector]:
        (h,) = state
        a = add(affine(w.weight_ih, x, w.bias_ih), affine(w.weight_hh, h, w.bias_hh))
        return ([phi(v) for v in a],), a

    def back(
        w: Weights, total: Weights, x: Vector, state: State, a: Vector, grad: State
    ) -> tuple[Vector, State]:
        (h,), (grad_h,) = state, grad
        delta = [phi_back(g, v) for g, v in zip(grad_h, a, strict=True)]
        grad_x, grad_h = products_back(w, total, x, h, delta, delta)
        return grad_x, (grad_h,)

    return Equations(step, back)


def preactivation(phi: Activation, phi_back: ActivationBack) -> Equations:
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
        return grad_x, ([phi_back(g, v) for g, v in zip(grad_value, h, strict=True)],)

    return Equations(step, back)


def tanh_back(grad: float, a: float) -> float:
    return grad * (1 - math.tanh(a) ** 2)


# "a <= 0" and not "a > 0": NaN comes out of both, as it does in PyTorch
def relu(a: float) -> float:
    return 0.0 if a <= 0 else a


def relu_back(grad: float, a: float) -> float:
    return 0.0 if a <= 0 else grad


def identity(a: float) -> float:
    return a


def identity_back(grad: float, a: float) -> float:
    return grad


EQUATIONS = {
    "rnn_tanh": simple(math.tanh, tanh_back),
    "rnn_relu": simple(relu, relu_back),
    "rnn_linear": simple(identity, identity_back),
    "rnn_tanh_preactivation": preactivation(math.tanh, tanh_back),
    "rnn_relu_preactivation": preactivation(relu, relu_back),
}
