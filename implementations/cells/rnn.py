"""The simple recurrent networks: one matrix, one activation φ, in two forms.

They differ in where φ stands, and so in what the state is: its value (Elman 1990) or the pre-activation
from which the value is taken (Pascanu et al. 2013).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implementations.cells.arithmetic import (
    hidden_products,
    input_products,
    product_gradients,
    quiet,
    scale_rows,
)
from implementations.contract import Array, Cell, Parameters, StepGradients
from implementations.registry import CELLS


@dataclass(frozen=True)
class Activation:
    """φ, all as functions of the pre-activation a.

    Args:
        value: φ(a).
        derivative: φ'(a).
        backward: (dL/dφ(a), a) -> dL/da.
    """

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


TANH = Activation(
    value=np.tanh,
    derivative=lambda a: 1 - np.square(np.tanh(a)),
    backward=lambda grad, a: grad * (1 - np.square(np.tanh(a))),
)
# As in PyTorch: φ'(0) = 0, a NaN lets the gradient through, and a dead unit stops any gradient, an
# infinite one too: it selects and does not multiply.
RELU = Activation(
    value=lambda a: np.maximum(a, 0),
    derivative=lambda a: (~(a <= 0)).astype(a.dtype),
    backward=lambda grad, a: np.where(a <= 0, 0, grad),
)
LINEAR = Activation(value=lambda a: a, derivative=np.ones_like, backward=lambda grad, a: grad)


class SimpleRNN(Cell):
    """a = W_ih x + b_ih + W_hh h + b_hh,  h' = φ(a).

    Jacobian: ∂h'/∂h = diag(φ'(a)) W_hh.

    Reference: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990); `torch.nn.RNN`.
    """

    gates = ("h",)
    direct_gates = True

    def __init__(self, name: str, activation: Activation) -> None:
        self.name = name
        self.activation = activation

    def _preactivation(self, parameters: Parameters, x: Array, h: Array) -> Array:
        return input_products(parameters, x) + hidden_products(parameters, h)

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        return (self.activation.value(self._preactivation(parameters, x, state[0])),)

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h,), (grad_h,) = state, grad_state
        delta = self.activation.backward(grad_h, self._preactivation(parameters, x, h))
        return product_gradients(parameters, x, h, delta, delta)

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        slope = self.activation.derivative(self._preactivation(parameters, x, state[0]))
        return scale_rows(slope, parameters.weight_hh)


class PreactivationRNN(Cell):
    """h' = W_hh φ(h) + b_hh + W_ih x + b_ih: the state is the pre-activation, and the output is h itself.

    Jacobian: ∂h'/∂h = W_hh diag(φ'(h)).

    Reference: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013, equation 2.
    """

    gates = ("h",)

    def __init__(self, name: str, activation: Activation) -> None:
        self.name = name
        self.activation = activation

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        value = self.activation.value(state[0])
        return (input_products(parameters, x) + hidden_products(parameters, value),)

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h,), (delta,) = state, grad_state
        found = product_gradients(parameters, x, self.activation.value(h), delta, delta)
        (grad_value,) = found.state
        return StepGradients(found.x, (self.activation.backward(grad_value, h),), found.parameters)

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        return parameters.weight_hh * self.activation.derivative(state[0])[:, None, :]


CELLS.register("rnn_tanh")(SimpleRNN("rnn_tanh", TANH))
CELLS.register("rnn_relu")(SimpleRNN("rnn_relu", RELU))
CELLS.register("rnn_linear")(SimpleRNN("rnn_linear", LINEAR))
CELLS.register("rnn_tanh_preactivation")(PreactivationRNN("rnn_tanh_preactivation", TANH))
CELLS.register("rnn_relu_preactivation")(PreactivationRNN("rnn_relu_preactivation", RELU))
