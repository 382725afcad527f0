"""The LSTM: of the four H×H blocks of its Jacobian two are diagonal, the others share three weights."""

from __future__ import annotations

from collections.abc import Sequence

from harness.gradients.namespace import Space
from harness.gradients.onestep.step import Native, OneStep, times_shared
from implementations.contract import Cell, Parameters


class LSTMStep(OneStep):
    """With k = o(1 − tanh²c'), C = diag(c f(1−f)) U_f + diag(g i(1−i)) U_i + diag(i(1−g²)) U_g:

        cc = diag(f)    hc = diag(k f)    ch = C    hh = diag(tanh c' o(1−o)) U_o + diag(k) C

    so that, with Q = P_h diag(k) + P_c, a step takes one product of twice the size of an H×H one, where the
    (2H×2H) matrix takes eight of those:

        P_h' = [P_h diag(tanh c' o(1−o)), Q] [U_o; C]        P_c' = Q diag(f)
    """

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        super().__init__(cell, parameters, space)
        self._weights = self.side_by_side("fig")
        self._memory: Native = None
        self._both: Native = None

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
        """diag of hh's own part, k, f, and [U_o; C], which lasts until the next call."""
        own, k, f, *through_c = slopes
        return own, k, f, self._stacked(through_c)

    def _stacked(self, diagonals: Sequence[Native]) -> Native:
        """[U_o; C] of n steps, (n, B, 2H, H): C = Σ_q diag(d_q) U_q from diagonals d_q (n, B, H) each.

        Written into the same memory each time: fresh pages cost as much as what is written there.  Rows of
        all matrices lie together, so that row a of all C is one short product, (n·B, 3) by (3, H).
        """
        steps, batch_size, size = diagonals[0].shape
        count = steps * batch_size
        if self._memory is None or self._memory.shape[1] < count:
            self._memory = self.space.empty((2 * size, count, size))
            self._memory[:size] = self.weight("o")[:, None, :]
        memory = self._memory[:, :count]
        left = self.space.xp.stack(list(diagonals), -1).reshape(count, size, len(diagonals))
        self.space.xp.matmul(left.swapaxes(0, 1), self._weights, out=memory[size:])
        return self.space.xp.moveaxis(memory.reshape(2 * size, steps, batch_size, size), 0, 2)

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        own, k, f, stacked = (factor[i] for factor in factors)
        new_h, new_c = out or [self.space.empty(tuple(block.shape)) for block in columns]
        xp, (p_h, p_c) = self.space.xp, columns
        batch_size, rows, size = p_h.shape
        if self._both is None or self._both.shape[:2] != (batch_size, rows):
            self._both = self.space.empty((batch_size, rows, 2 * size))
        scaled, q = self._both[..., :size], self._both[..., size:]
        xp.multiply(p_h, own[:, None, :], out=scaled)
        xp.multiply(p_h, k[:, None, :], out=q)
        q += p_c
        return xp.matmul(self._both, stacked, out=new_h), xp.multiply(q, f[:, None, :], out=new_c)

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        own, k, f, stacked = (factor[i] for factor in factors)
        xp, size = self.space.xp, self.hidden_size
        weight, through_c = stacked[:, :size], stacked[:, size:]
        hh = own[:, :, None] * weight + k[:, :, None] * through_c
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
