"""The LSTM: of the four H×H blocks of its Jacobian two are diagonal, the others share three weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.gradients.kernels import loaded_kernels
from harness.gradients.namespace import Space
from harness.gradients.onestep.step import Native, OneStep, times_shared
from implementations.contract import Cell, Parameters


class LSTMStep(OneStep):
    """With k = o(1 − tanh²c'), C = diag(c f(1−f)) U_f + diag(g i(1−i)) U_i + diag(i(1−g²)) U_g:

        cc = diag(f)    hc = diag(k f)    ch = C    hh = diag(tanh c' o(1−o)) U_o + diag(k) C

    so that, with Q = P_h diag(k) + P_c, a step takes two H×H products where the (2H×2H) matrix takes eight:

        P_h' = P_h diag(tanh c' o(1−o)) U_o + Q C        P_c' = Q diag(f)
    """

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        super().__init__(cell, parameters, space)
        self._weights = self.side_by_side("fig")
        self._kernels = loaded_kernels() if space.is_numpy and space.dtype == "float64" else {}
        self._matrices: Native = None

    @property
    def matrices_per_step(self) -> int:
        return 1

    def _gates(self, a_x: Native, h: Native) -> tuple[Native, ...]:
        a = a_x + self.hidden_products(h)
        i, f, _, o = self.gates_of(self.sigmoid(a))
        return i, f, self.space.xp.tanh(self.gates_of(a)[2]), o

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        i, f, g, o = self._gates(a_x, state[0])
        c = f * state[1] + i * g
        return o * self.space.xp.tanh(c), c

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """diag of hh's own part, k, f, and the diagonals before U_f, U_i, U_g in C."""
        h, c = states
        i, f, g, o = self._gates(self.input_products(inputs), h)
        tanh_c = self.space.xp.tanh(f * c + i * g)
        through_c = c * f * (1 - f), g * i * (1 - i), i * (1 - g**2)
        return tanh_c * o * (1 - o), o * (1 - tanh_c**2), f, *through_c

    def combine(self, slopes: tuple[Native, ...]) -> tuple[Native, ...]:
        """diag of hh's own part, k, f, and C, which lasts until the next call where kernels make it."""
        own, k, f, *through_c = slopes
        if not self._kernels:
            return own, k, f, self.combined(through_c, self._weights)
        # The same memory for one chunk after another: fresh pages cost as much as what is written there.
        if self._matrices is None or self._matrices.shape[1:3] != f.shape[1:] or len(self._matrices) < len(f):
            self._matrices = self.space.empty((*f.shape, self.hidden_size))
        matrices = self._matrices[: len(f)]
        self._kernels["combined"](*through_c, self._weights, matrices)
        return own, k, f, matrices

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        own, k, f, through_c = (factor[i] for factor in factors)
        p_h, p_c = columns
        if self._kernels:
            return self._fused(p_h, p_c, own, k, f, through_c, out)
        new_h, q = out or (None, None)
        q = self.space.xp.multiply(p_h, k[:, None, :], out=q)
        q += p_c
        new_h = times_shared(p_h * own[:, None, :], self.weight("o"), new_h)
        new_h += q @ through_c
        q *= f[:, None, :]
        return new_h, q

    def _fused(self, p_h: Native, p_c: Native, *rest: Any) -> tuple[Native, ...]:
        """`apply` with kernels for all but the products."""
        own, k, f, through_c, out = rest
        p_h, p_c = (self.space.xp.ascontiguousarray(block) for block in (p_h, p_c))
        new_h, q = out or [self.space.empty(p_h.shape) for _ in range(2)]
        scaled = self.space.empty(p_h.shape)
        self._kernels["spread"](p_h, p_c, k, own, q, scaled)
        new_h = times_shared(scaled, self.weight("o"), new_h)
        self._kernels["gather"](new_h, self.space.xp.matmul(q, through_c, out=scaled), q, f)
        return new_h, q

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        own, k, f, through_c = (factor[i] for factor in factors)
        xp = self.space.xp
        hh = own[:, :, None] * self.weight("o") + k[:, :, None] * through_c
        upper = xp.concatenate([hh, self.diagonal(k * f)], -1)
        return xp.concatenate([upper, xp.concatenate([through_c, self.diagonal(f)], -1)], -2)

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        own, k, f, of_f, of_i, of_g = (slope[:, None, :] for slope in slopes)
        v_h, v_c = rows
        q = v_h * k + v_c
        delta = self.space.xp.concatenate([q * of_i, q * of_f, q * of_g, v_h * own], -1)
        return (times_shared(delta, self.weight_hh), q * f), (delta, delta)
