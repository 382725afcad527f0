"""The gated recurrent unit, in two forms that are two different functions.

The reset gate stands either before the recurrent matrix product (the paper's equations) or after it
(cuDNN's and PyTorch's, where one product serves all three gates).  They agree only where r = 1, or W_hn
is diagonal and b_hn = 0.
"""

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


class GRU(Cell):
    """Reset after the product; m is the recurrent part of the candidate:

        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        m = W_hn h + b_hn
        n = tanh(W_in x + b_in + r⊙m)
        h' = (1 − z)⊙n + z⊙h

    Jacobian, with U_q = W_hq:

        ∂h'/∂h = diag(z) + diag((h−n) z(1−z)) U_z + diag((1−z)(1−n²)) [diag(r) U_n + diag(m·r(1−r)) U_r]

    References: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014,
    first arXiv version; cuDNN and `torch.nn.GRU`.
    """

    name = "gru"
    gates = ("r", "z", "n")

    def _gates(self, parameters: Parameters, x: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        """r, z, n, m, each (B, H)."""
        x_r, x_z, x_n = np.split(input_products(parameters, x), 3, axis=1)
        h_r, h_z, m = np.split(hidden_products(parameters, h), 3, axis=1)
        r = sigmoid(x_r + h_r)
        return r, sigmoid(x_z + h_z), np.tanh(x_n + r * m), m

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        (h,) = state
        _, z, n, _ = self._gates(parameters, x, h)
        return ((1 - z) * n + z * h,)

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h,), (grad_h,) = state, grad_state
        r, z, n, m = self._gates(parameters, x, h)
        delta_z = grad_h * (h - n) * z * (1 - z)
        delta_n = grad_h * (1 - z) * (1 - n**2)
        delta_r = delta_n * m * r * (1 - r)
        # the candidate's recurrent part is reached through the reset gate alone
        delta_ih = np.concatenate([delta_r, delta_z, delta_n], axis=1)
        delta_hh = np.concatenate([delta_r, delta_z, delta_n * r], axis=1)
        found = product_gradients(parameters, x, h, delta_ih, delta_hh)
        return StepGradients(found.x, (found.state[0] + grad_h * z,), found.parameters)

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        (h,) = state
        r, z, n, m = self._gates(parameters, x, h)
        u_r, u_z, u_n = (self.gate(parameters.weight_hh, gate) for gate in self.gates)
        slope = (1 - z) * (1 - n**2)
        return (
            diagonal(z)
            + scale_rows((h - n) * z * (1 - z), u_z)
            + scale_rows(slope * r, u_n)
            + scale_rows(slope * m * r * (1 - r), u_r)
        )


class GRUResetBefore(Cell):
    """Reset before the product:

        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + W_hn (r⊙h) + b_hn)
        h' = (1 − z)⊙n + z⊙h

    Jacobian, with U_q = W_hq:

        ∂h'/∂h = diag(z) + diag((h−n) z(1−z)) U_z + diag((1−z)(1−n²)) U_n [diag(r) + diag(h·r(1−r)) U_r]

    References: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014,
    equation 8; J. Chung et al., "Empirical evaluation of gated recurrent neural networks" (2014).
    """

    name = "gru_reset_before"
    gates = ("r", "z", "n")

    def _gates(self, parameters: Parameters, x: Array, h: Array) -> tuple[Array, Array, Array]:
        """r, z, n, each (B, H)."""
        size = parameters.hidden_size
        a = input_products(parameters, x)
        u_n, b_n = self.gate(parameters.weight_hh, "n"), self.gate(parameters.bias_hh, "n")
        rz = sigmoid(
            a[:, : 2 * size] + h @ parameters.weight_hh[: 2 * size].T + parameters.bias_hh[: 2 * size]
        )
        r, z = rz[:, :size], rz[:, size:]
        return r, z, np.tanh(a[:, 2 * size :] + (r * h) @ u_n.T + b_n)

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        (h,) = state
        _, z, n = self._gates(parameters, x, h)
        return ((1 - z) * n + z * h,)

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h,), (grad_h,) = state, grad_state
        r, z, n = self._gates(parameters, x, h)
        size = parameters.hidden_size
        delta_z = grad_h * (h - n) * z * (1 - z)
        delta_n = grad_h * (1 - z) * (1 - n**2)
        grad_rh = delta_n @ self.gate(parameters.weight_hh, "n")
        delta_rz = np.concatenate([grad_rh * h * r * (1 - r), delta_z], axis=1)
        delta = np.concatenate([delta_rz, delta_n], axis=1)
        bias = delta.sum(axis=0)
        return StepGradients(
            x=delta @ parameters.weight_ih,
            state=(grad_h * z + grad_rh * r + delta_rz @ parameters.weight_hh[: 2 * size],),
            parameters={
                "weight_ih": delta.T @ x,
                "weight_hh": np.concatenate([delta_rz.T @ h, delta_n.T @ (r * h)]),
                "bias_ih": bias,
                "bias_hh": bias.copy(),
            },
        )

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        (h,) = state
        r, z, n = self._gates(parameters, x, h)
        u_r, u_z, u_n = (self.gate(parameters.weight_hh, gate) for gate in self.gates)
        reset = diagonal(r) + scale_rows(h * r * (1 - r), u_r)
        slope = (1 - z) * (1 - n**2)
        return diagonal(z) + scale_rows((h - n) * z * (1 - z), u_z) + slope[:, :, None] * (u_n @ reset)


CELLS.register("gru")(GRU())
CELLS.register("gru_reset_before")(GRUResetBefore())
