"""The long short-term memory: a cell state c that gates multiply and add to, and an output h read from it."""

from __future__ import annotations

import numpy as np

from implementations.cells.arithmetic import (
    diagonal,
    hidden_products,
    input_products,
    product_gradients,
    quiet,
    scale_rows,
    sigmoid,
)
from implementations.contract import Array, Cell, Parameters, StepGradients
from implementations.registry import CELLS


class LSTM(Cell):
    """With a_q = W_iq x + b_iq + W_hq h + b_hq for each gate q of i, f, g, o:

        i = σ(a_i),  f = σ(a_f),  g = tanh(a_g),  o = σ(a_o)
        c' = f⊙c + i⊙g
        h' = o⊙tanh(c')

    Jacobian, with k = o(1 − tanh²c') and U_q = W_hq:

        cc = diag(f)                  ch = diag(c·f(1−f)) U_f + diag(g·i(1−i)) U_i + diag(i(1−g²)) U_g
        hc = diag(k·f)                hh = diag(tanh c'·o(1−o)) U_o + diag(k)·ch

    References: S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); the
    forget gate: F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12
    (2000); two biases and the order of the gates: cuDNN and `torch.nn.LSTM`.
    """

    name = "lstm"
    gates = ("i", "f", "g", "o")
    state_names = ("h", "c")
    direct_gates = True

    def _gates(self, parameters: Parameters, x: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        """i, f, g, o, each (B, H)."""
        i, f, g, o = np.split(input_products(parameters, x) + hidden_products(parameters, h), 4, axis=1)
        return sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        h, c = state
        i, f, g, o = self._gates(parameters, x, h)
        c_next = f * c + i * g
        return o * np.tanh(c_next), c_next

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h, c), (grad_h, grad_c) = state, grad_state
        i, f, g, o = self._gates(parameters, x, h)
        tanh_c = np.tanh(f * c + i * g)
        # c' is read by h' too: what reaches it is its own gradient and the one through the output
        grad_c = grad_c + grad_h * o * (1 - tanh_c**2)
        delta = np.concatenate(
            [
                grad_c * g * i * (1 - i),
                grad_c * c * f * (1 - f),
                grad_c * i * (1 - g**2),
                grad_h * tanh_c * o * (1 - o),
            ],
            axis=1,
        )
        found = product_gradients(parameters, x, h, delta, delta)
        return StepGradients(found.x, (found.state[0], grad_c * f), found.parameters)

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        h, c = state
        i, f, g, o = self._gates(parameters, x, h)
        u_i, u_f, u_g, u_o = (self.gate(parameters.weight_hh, gate) for gate in self.gates)
        tanh_c = np.tanh(f * c + i * g)
        k = o * (1 - tanh_c**2)
        ch = (
            scale_rows(c * f * (1 - f), u_f)
            + scale_rows(g * i * (1 - i), u_i)
            + scale_rows(i * (1 - g**2), u_g)
        )
        hh = scale_rows(tanh_c * o * (1 - o), u_o) + k[:, :, None] * ch
        return np.block([[hh, diagonal(k * f)], [ch, diagonal(f)]])


CELLS.register("lstm")(LSTM())
