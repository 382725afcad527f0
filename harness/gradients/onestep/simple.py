"""The simple recurrent networks: one weight matrix and one diagonal of slopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.gradients.onestep.step import Native, OneStep, times_shared
from implementations.cells.rnn import LINEAR, RELU, TANH, PreactivationRNN, SimpleRNN
from implementations.contract import Cell


def _tanh(xp: Any, a: Native) -> Native:
    return xp.tanh(a)


def _tanh_slope(xp: Any, a: Native) -> Native:
    return 1 - xp.tanh(a) ** 2


def _relu(xp: Any, a: Native) -> Native:
    return xp.where(a <= 0, xp.zeros_like(a), a)


def _relu_slope(xp: Any, a: Native) -> Native:
    return xp.where(a <= 0, xp.zeros_like(a), xp.ones_like(a))


def _linear(xp: Any, a: Native) -> Native:
    return a


def _linear_slope(xp: Any, a: Native) -> Native:
    return xp.ones_like(a)


_FORMS: dict[int, tuple[Callable[..., Native], Callable[..., Native]]] = {
    id(TANH): (_tanh, _tanh_slope),
    id(RELU): (_relu, _relu_slope),
    id(LINEAR): (_linear, _linear_slope),
}
"""φ and φ' in any namespace, by the activation that the cells know."""


class SimpleStep(OneStep):
    """J = diag(φ'(a)) W_hh: P J scales P's columns, and one product follows."""

    @classmethod
    def fits(cls, cell: Cell) -> bool:
        return isinstance(cell, SimpleRNN | PreactivationRNN) and id(cell.activation) in _FORMS

    def value(self, a: Native) -> Native:
        return _FORMS[id(self.cell.activation)][0](self.space.xp, a)  # type: ignore[attr-defined]

    def slope(self, a: Native) -> Native:
        return _FORMS[id(self.cell.activation)][1](self.space.xp, a)  # type: ignore[attr-defined]

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        return (self.value(a_x + self.hidden_products(state[0])),)

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        return (self.slope(self.input_products(inputs) + self.hidden_products(states[0])),)

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        scaled = columns[0] * factors[0][i][:, None, :]
        return (times_shared(scaled, self.weight_hh, out[0] if out else None),)

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return factors[0][i][:, :, None] * self.weight_hh

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        delta = rows[0] * slopes[0][:, None, :]
        return (times_shared(delta, self.weight_hh),), (delta, delta)


class PreactivationStep(SimpleStep):
    """J = W_hh diag(φ'(h)): one product, and its columns are scaled."""

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        return (a_x + self.hidden_products(self.value(state[0])),)

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        return (self.slope(states[0]),)

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        product = times_shared(columns[0], self.weight_hh, out[0] if out else None)
        product *= factors[0][i][:, None, :]
        return (product,)

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        return self.weight_hh * factors[0][i][:, None, :]

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        return self.apply(rows, tuple(slope[None] for slope in slopes), 0), (rows[0], rows[0])

    def read(self, state: tuple[Native, ...]) -> Native:
        return self.value(state[0])
