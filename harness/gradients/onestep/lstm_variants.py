"""The variants of the LSTM: what the gates read differs, how a gradient goes through the step does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.gradients.namespace import Space
from harness.gradients.onestep.step import Native, OneStep, times_shared
from implementations.cells.lstm_variants import PEEPHOLES, RECURRENCE, LSTMVariant
from implementations.contract import Cell, Parameters

_EXTRA = ("i", "f", "o")
"""The gates that a peephole or a gate recurrence may lead to, in the order of the extras' rows."""


@dataclass(frozen=True)
class _Values:
    """Gates, candidate, later cell state and what h' shows of it, (…, H) each; an absent gate is 1."""

    i: Native
    f: Native
    g: Native
    o: Native
    c: Native
    shown: Native


class LSTMVariantStep(OneStep):
    """With k = o·φ'(c') and q = v_h k + v_c + p_o δ_o, vᵀJ is one product with W_hh and diagonals:

        δ_o = (v_h φ(c') + v_o) o(1−o)      δ_i = (q g + v_i) i(1−i)      δ_f = (q c + v_f) f(1−f)
        δ_g = q i g'
        vᵀJ = (δ W_hh, q f + p_i δ_i + p_f δ_f, (δ_i, δ_f, δ_o) R)

    with g − c in place of g where f = 1 − i, and no δ where there is no gate.
    """

    def __init__(self, cell: Cell, parameters: Parameters, space: Space) -> None:
        super().__init__(cell, parameters, space)
        assert isinstance(cell, LSTMVariant)
        self.parts = cell.parts
        self.peephole = space.put(parameters.extras[PEEPHOLES]) if self.parts.peepholes else None
        self.recurrence = space.put(parameters.extras[RECURRENCE]) if self.parts.recurrence else None

    @classmethod
    def fits(cls, cell: Cell) -> bool:
        """Not where a peephole or a gate recurrence leads to a gate that is absent."""
        if not isinstance(cell, LSTMVariant):
            return False
        return set(_EXTRA) <= set(cell.gates) or not (cell.parts.peepholes or cell.parts.recurrence)

    def _values(self, a_x: Native, state: tuple[Native, ...]) -> _Values:
        xp, (h, c, *before) = self.space.xp, state
        a = dict(zip(self.cell.gates, self.gates_of(a_x + self.hidden_products(h)), strict=True))
        if self.recurrence is not None:
            seen = xp.concatenate(before, -1) @ self.recurrence.T
            for n, gate in enumerate(_EXTRA):
                a[gate] = a[gate] + seen[..., n * self.hidden_size : (n + 1) * self.hidden_size]
        if self.peephole is not None:
            a["i"], a["f"] = a["i"] + self.peephole[0] * c, a["f"] + self.peephole[1] * c
        one = xp.ones_like(c)
        i = self.sigmoid(a["i"]) if "i" in a else one
        without = 1 - i if self.parts.coupled else one
        f = self.sigmoid(a["f"]) if "f" in a else without
        g = xp.tanh(a["g"]) if self.parts.input_activation else a["g"]
        later = f * c + i * g
        if self.peephole is not None:
            a["o"] = a["o"] + self.peephole[2] * later
        o = self.sigmoid(a["o"]) if "o" in a else one
        return _Values(i, f, g, o, later, xp.tanh(later) if self.parts.output_activation else later)

    def advance(self, a_x: Native, state: tuple[Native, ...]) -> tuple[Native, ...]:
        found = self._values(a_x, state)
        following = found.o * found.shown, found.c
        return (*following, found.i, found.f, found.o) if self.parts.recurrence else following

    def slopes(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        """k, f, the diagonal before δ_g's q, c'; then i(1−i), f(1−f), o(1−o), and what each multiplies."""
        found, c = self._values(self.input_products(inputs), states), states[1]
        k = found.o * (1 - found.shown**2) if self.parts.output_activation else found.o
        of_g = found.i * (1 - found.g**2) if self.parts.input_activation else found.i
        own = [value * (1 - value) for value in (found.i, found.f, found.o)]
        read_by_i = found.g - c if self.parts.coupled else found.g
        return k, found.f, of_g, found.c, *own, read_by_i, c, found.shown

    def apply(
        self, columns: Sequence[Native], factors: tuple[Native, ...], i: int, out: Sequence[Native] = ()
    ) -> tuple[Native, ...]:
        found = self.pull(columns, tuple(factor[i] for factor in factors))[0]
        for place, part in zip(out, found, strict=False):
            place[...] = part
        return tuple(out) or found

    def dense(self, factors: tuple[Native, ...], i: int) -> Native:
        """Row by row: P·J of P = I."""
        size, names = self.hidden_size, self.cell.state_names
        every = self.space.put(np.eye(size * len(names)))
        in_each_sample = self.space.xp.ones_like(factors[0][i])[:, None, :]
        rows = [every[:, n * size : (n + 1) * size] * in_each_sample for n in range(len(names))]
        return self.space.xp.concatenate(self.apply(rows, factors, i), -1)

    def pull(
        self, rows: Sequence[Native], slopes: tuple[Native, ...]
    ) -> tuple[tuple[Native, ...], tuple[Native, ...]]:
        k, f, of_g, _, own_i, own_f, own_o, read_by_i, read_by_f, shown = (s[:, None, :] for s in slopes)
        v_h, v_c, *v_gates = rows
        v_i, v_f, v_o = v_gates or (0.0, 0.0, 0.0)
        q = v_h * k + v_c
        delta_o = (v_h * shown + v_o) * own_o
        if self.peephole is not None:
            q = q + delta_o * self.peephole[2]
        delta = {
            "i": (q * read_by_i + v_i) * own_i,
            "f": (q * read_by_f + v_f) * own_f,
            "g": q * of_g,
            "o": delta_o,
        }
        reached = self.space.xp.concatenate([delta[gate] for gate in self.cell.gates], -1)
        earlier = [times_shared(reached, self.weight_hh), q * f]
        if self.peephole is not None:
            earlier[1] = earlier[1] + delta["i"] * self.peephole[0] + delta["f"] * self.peephole[1]
        if self.recurrence is not None:
            read = self.space.xp.concatenate([delta[gate] for gate in _EXTRA], -1)
            through, size = times_shared(read, self.recurrence), self.hidden_size
            earlier += [through[..., n * size : (n + 1) * size] for n in range(len(_EXTRA))]
        return tuple(earlier), (reached, reached)

    def parameter_gradients(
        self,
        reached: tuple[Native, ...],
        slopes: tuple[Native, ...],
        x: Native,
        state: tuple[Native, ...],
    ) -> dict[str, Native]:
        found, xp = super().parameter_gradients(reached, slopes, x, state), self.space.xp
        delta = dict(zip(self.cell.gates, self.gates_of(reached[1].sum(1)), strict=True))
        if self.peephole is not None:
            seen = {"i": state[1], "f": state[1], "o": slopes[3]}
            found[PEEPHOLES] = xp.stack([(delta[gate] * seen[gate]).sum(0) for gate in _EXTRA], 0)
        if self.recurrence is not None:
            read = xp.concatenate([delta[gate] for gate in _EXTRA], -1)
            found[RECURRENCE] = read.T @ xp.concatenate(list(state[2:]), -1)
        return found
