"""The two gated recurrent units: the weights are combined into one H×H matrix per step before the product."""

from __future__ import annotations

from collections.abc import Sequence

from harness.gradients.onestep.step import Native, OneStep


class _Combined(OneStep):
    """A cell of one state whose Jacobians are kept as matrices, for a few steps at a time."""

    @property
    def matrices_per_step(self) -> int:
        return 1

    def apply(self, columns: Sequence[Native], factors: tuple[Native, ...], i: int) -> tuple[Native, ...]:
        return (columns[0] @ factors[0][i],)

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return factors[0][i]


class GRUStep(_Combined):
    """J = diag(z) + diag((h−n) z(1−z)) U_z + diag((1−z)(1−n²)) [diag(r) U_n + diag(m·r(1−r)) U_r]."""

    def _gates(self, a_x: Native, h: Native) -> tuple[Native, ...]:
        """r, z, n, m."""
        (x_r, x_z, x_n), (h_r, h_z, m) = self.gates_of(a_x), self.gates_of(self.hidden_products(h))
        r = self.sigmoid(x_r + h_r)
        return r, self.sigmoid(x_z + h_z), self.space.xp.tanh(x_n + r * m), m

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        _, z, n, _ = self._gates(a_x, state[0])
        return ((1 - z) * n + z * state[0],)

    def factors(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        (h,) = states
        r, z, n, m = self._gates(self.input_products(inputs), h)
        slope = (1 - z) * (1 - n**2)
        matrices = self.combined(
            [(h - n) * z * (1 - z), slope * r, slope * m * r * (1 - r)],
            [self.weight("z"), self.weight("n"), self.weight("r")],
        )
        return (self.add_diagonal(matrices, z),)


class GRUResetBeforeStep(_Combined):
    """J = diag(z) + diag((h−n) z(1−z)) U_z + diag((1−z)(1−n²)) U_n [diag(r) + diag(h·r(1−r)) U_r]."""

    def _gates(self, a_x: Native, h: Native) -> tuple[Native, ...]:
        """r, z, n."""
        (x_r, x_z, x_n), (h_r, h_z, _) = self.gates_of(a_x), self.gates_of(self.hidden_products(h))
        r = self.sigmoid(x_r + h_r)
        h_n = (r * h) @ self.weight("n").T + self.cell.gate(self.bias_hh, "n")
        return r, self.sigmoid(x_z + h_z), self.space.xp.tanh(x_n + h_n)

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        _, z, n = self._gates(a_x, state[0])
        return ((1 - z) * n + z * state[0],)

    def factors(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        (h,) = states
        r, z, n = self._gates(self.input_products(inputs), h)
        slope = (1 - z) * (1 - n**2)
        through_n = slope[..., None] * self.weight("n")
        matrices = (
            ((h - n) * z * (1 - z))[..., None] * self.weight("z")
            + through_n * r[..., None, :]
            + (through_n * (h * r * (1 - r))[..., None, :]) @ self.weight("r")
        )
        return (self.add_diagonal(matrices, z),)
