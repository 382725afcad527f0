"""The two gated recurrent units: the weights are combined into one H×H matrix per step before the product."""

from __future__ import annotations

from collections.abc import Sequence

from harness.gradients.namespace import Space
from harness.gradients.onestep.step import Native, OneStep, times_shared
from implementations.contract import Cell, Parameters


class _Combined(OneStep):
    """A cell of one state whose Jacobians are kept as matrices, for a few steps at a time; z stands first
    among its slopes.
    """

    @property
    def matrices_per_step(self) -> int:
        return 1

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        return (self.space.xp.matmul(columns[0], factors[0][i], out=out[0] if out else None),)

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return factors[0][i]

    def past_gates(self, rows: Sequence[Native], slopes: tuple[Native, ...]) -> Native:
        """z⊙v: what h' keeps of h."""
        return rows[0] * slopes[0][:, None, :]


class GRUStep(_Combined):
    """J = diag(z) + diag((h−n) z(1−z)) U_z + diag((1−z)(1−n²)) [diag(r) U_n + diag(m·r(1−r)) U_r]."""

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        super().__init__(cell, parameters, space)
        self._weights = self.side_by_side("znr")

    def _gates(self, a_x: Native, h: Native) -> tuple[Native, ...]:
        """r, z, n, m."""
        (x_r, x_z, x_n), (h_r, h_z, m) = self.gates_of(a_x), self.gates_of(self.hidden_products(h))
        r = self.sigmoid(x_r + h_r)
        return r, self.sigmoid(x_z + h_z), self.space.xp.tanh(x_n + r * m), m

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        _, z, n, _ = self._gates(a_x, state[0])
        return ((1 - z) * n + z * state[0],)

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """z, r, and the diagonals before U_z, before the bracket, and before U_r in it."""
        (h,) = states
        r, z, n, m = self._gates(self.input_products(inputs), h)
        return z, r, (h - n) * z * (1 - z), (1 - z) * (1 - n**2), m * r * (1 - r)

    def combine(self, slopes: tuple[Native, ...]) -> tuple[Native, ...]:
        z, r, of_z, of_n, of_r = slopes
        matrices = self.combined([of_z, of_n * r, of_n * of_r], self._weights)
        return (self.add_diagonal(matrices, z),)

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        z, r, of_z, of_n, of_r = (slope[:, None, :] for slope in slopes)
        (v,) = rows
        delta_n = v * of_n
        delta = self.space.xp.concatenate([delta_n * of_r, v * of_z, delta_n], -1)
        through, at_hidden = self._passed_on(delta, r)
        return (through + v * z,), (delta, at_hidden)

    def through_gates(self, delta: Native, slopes: tuple[Native, ...]) -> tuple[Native, Native]:
        return self._passed_on(delta, slopes[1][:, None, :])

    def _passed_on(self, delta: Native, r: Native) -> tuple[Native, Native]:
        """The candidate's recurrent part is reached through the reset gate alone."""
        delta_r, delta_z, delta_n = self.gates_of(delta)
        at_hidden = self.space.xp.concatenate([delta_r, delta_z, delta_n * r], -1)
        return times_shared(at_hidden, self.weight_hh), at_hidden


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

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """z, r, and the diagonals before U_z, before U_n, and before U_r in the bracket."""
        (h,) = states
        r, z, n = self._gates(self.input_products(inputs), h)
        return z, r, (h - n) * z * (1 - z), (1 - z) * (1 - n**2), h * r * (1 - r)

    def combine(self, slopes: tuple[Native, ...]) -> tuple[Native, ...]:
        z, r, of_z, of_n, of_r = slopes
        through_n = of_n[..., None] * self.weight("n")
        matrices = (
            of_z[..., None] * self.weight("z")
            + through_n * r[..., None, :]
            + (through_n * of_r[..., None, :]) @ self.weight("r")
        )
        return (self.add_diagonal(matrices, z),)

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        z, r, of_z, of_n, of_r = (slope[:, None, :] for slope in slopes)
        (v,) = rows
        delta_n = v * of_n
        at_product = times_shared(delta_n, self.weight("n"))
        delta_rz = self.space.xp.concatenate([at_product * of_r, v * of_z], -1)
        delta = self.space.xp.concatenate([delta_rz, delta_n], -1)
        return (v * z + self._through(delta_rz, at_product, r),), (delta, delta)

    def through_gates(self, delta: Native, slopes: tuple[Native, ...]) -> tuple[Native, Native]:
        delta_rz, delta_n = delta[..., : 2 * self.hidden_size], delta[..., 2 * self.hidden_size :]
        at_product = times_shared(delta_n, self.weight("n"))
        return self._through(delta_rz, at_product, slopes[1][:, None, :]), delta

    def _through(self, delta_rz: Native, at_product: Native, r: Native) -> Native:
        """dL/dh by way of the gates; `at_product` is the gradient of r⊙h."""
        return at_product * r + times_shared(delta_rz, self.weight_hh[: 2 * self.hidden_size])

    def parameter_gradients(
        self,
        reached: tuple[Native, ...],
        slopes: tuple[Native, ...],
        x: Native,
        state: tuple[Native, ...],
    ) -> dict[str, Native]:
        found = super().parameter_gradients(reached, slopes, x, state)
        delta_n = reached[1][..., 2 * self.hidden_size :].sum(1)
        through_rz = found["weight_hh"][: 2 * self.hidden_size]
        through_n = delta_n.T @ (slopes[1] * state[0])  # W_hn reads r⊙h
        return found | {"weight_hh": self.space.xp.concatenate([through_rz, through_n], 0)}
