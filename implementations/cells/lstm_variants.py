"""Eight variants of the LSTM, each with one thing added or taken away.

The one idea: they are one cell whose parts are switches, so that what differs between two of them is what
their names say.

Reference: K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink, J. Schmidhuber, "LSTM: a search space
odyssey", IEEE Transactions on Neural Networks and Learning Systems 28 (2017).  There each variant is taken
from the LSTM with peepholes; here from `lstm`, which has none, so that each differs from it in one thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implementations.cells.arithmetic import (
    hidden_products,
    input_products,
    product_gradients,
    quiet,
    sigmoid,
)
from implementations.contract import Array, Cell, Parameters, StepGradients
from implementations.registry import CELLS

PEEPHOLES = "weight_peephole"
"""Name of the extra (3, H): p of gates i, f, o."""
RECURRENCE = "weight_gates"
"""Name of the extra (3·H, 3·H): to gates i, f, o (rows), from i, f, o of the step before (columns)."""
_LOOKING = ("i", "f", "o")
"""The gates that peepholes and gate recurrences lead to, in the order of their rows."""


@dataclass(frozen=True)
class Parts:
    """What a variant has.

    Two of them need care.  Without its output activation h' = o⊙c' is unbounded, as c' is: nothing holds the
    state where W_hh expands it, a forward pass can overflow, and float32 loses what float64 keeps.  Without
    its input activation g is unbounded, and so is what one step may add to c.  A full gate recurrence has 9H²
    parameters beside the 4H(I + H) of the LSTM, more than W_hh itself, and three more states: a comparison at
    one H is not one at equal size.

    Args:
        input_gate, forget_gate, output_gate: absent, the gate is 1.
        coupled: f = 1 − i, and no forget gate of its own (CIFG).
        input_activation, output_activation: absent, g = a_g (NIAF) and h' = o⊙c' (NOAF).
        peepholes: i and f also see c, o sees c', each unit its own.
        recurrence: i, f and o also see the i, f and o of the step before, which join the state (FGR).
    """

    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    coupled: bool = False
    input_activation: bool = True
    output_activation: bool = True
    peepholes: bool = False
    recurrence: bool = False

    def __post_init__(self) -> None:
        whole = self.input_gate and self.forget_gate and self.output_gate and not self.coupled
        if (self.peepholes or self.recurrence) and not whole:
            raise ValueError(
                "peepholes and a gate recurrence lead to gates i, f and o: all three must be there"
            )
        if self.coupled and not self.input_gate:
            raise ValueError("a coupled forget gate is 1 − i: the input gate must be there")

    @property
    def gates(self) -> tuple[str, ...]:
        own = {
            "i": self.input_gate,
            "f": self.forget_gate and not self.coupled,
            "g": True,
            "o": self.output_gate,
        }
        return tuple(gate for gate, there in own.items() if there)


@dataclass(frozen=True)
class _Step:
    """What one step computes: the gates' values (1 where a gate is absent), g, c' and φ(c')."""

    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    shown: Array


class LSTMVariant(Cell):
    """With a_q = W_iq x + b_iq + W_hq h + b_hq for each gate q that there is, p the rows of
    `weight_peephole`, R `weight_gates` and s = (i, f, o) of the step before:

        i = σ(a_i + p_i⊙c + R_i s),  f = σ(a_f + p_f⊙c + R_f s) or 1 − i,  g = tanh(a_g) or a_g
        c' = f⊙c + i⊙g
        o = σ(a_o + p_o⊙c' + R_o s),  h' = o⊙tanh(c') or o⊙c'

    Args:
        name: in the registry.
        parts: which of it there is.
    """

    def __init__(self, name: str, parts: Parts) -> None:
        self.name, self.parts, self.gates = name, parts, parts.gates
        self.state_names = ("h", "c", *_LOOKING) if parts.recurrence else ("h", "c")
        self.direct_gates = not (parts.peepholes or parts.recurrence)

    def parameter_shapes(self, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes(input_size, hidden_size)
        if self.parts.peepholes:
            shapes[PEEPHOLES] = (3, hidden_size)
        if self.parts.recurrence:
            shapes[RECURRENCE] = (3 * hidden_size, 3 * hidden_size)
        return shapes

    @quiet
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        found = self._step(parameters, x, state)
        following = (found.o * found.shown, found.c)
        return (*following, found.i, found.f, found.o) if self.parts.recurrence else following

    def _step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> _Step:
        h, c, *before = state
        whole = input_products(parameters, x) + hidden_products(parameters, h)
        a = dict(zip(self.gates, np.split(whole, len(self.gates), axis=1), strict=True))
        for gate, seen in zip(_LOOKING, self._recurrent(parameters, before), strict=True):
            if seen is not None:
                a[gate] = a[gate] + seen
        peephole = parameters.extras.get(PEEPHOLES)
        if peephole is not None:
            a["i"], a["f"] = a["i"] + peephole[0] * c, a["f"] + peephole[1] * c
        one = np.ones_like(c)
        i = sigmoid(a["i"]) if "i" in a else one
        f = sigmoid(a["f"]) if "f" in a else 1 - i if self.parts.coupled else one
        g = np.tanh(a["g"]) if self.parts.input_activation else a["g"]
        c_next = f * c + i * g
        if peephole is not None:
            a["o"] = a["o"] + peephole[2] * c_next
        o = sigmoid(a["o"]) if "o" in a else one
        return _Step(i, f, g, o, c_next, np.tanh(c_next) if self.parts.output_activation else c_next)

    def _recurrent(self, parameters: Parameters, before: list[Array]) -> list[Array | None]:
        """What i, f and o of the step before add to i, f and o."""
        if not self.parts.recurrence:
            return [None, None, None]
        seen = np.concatenate(before, axis=1) @ parameters.extras[RECURRENCE].T
        return list(np.split(seen, 3, axis=1))

    @quiet
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h, c, *before), (grad_h, grad_c, *grad_gates) = state, grad_state
        found = self._step(parameters, x, state)
        grad_i, grad_f, grad_o = grad_gates or (0.0, 0.0, 0.0)
        peephole = parameters.extras.get(PEEPHOLES)
        delta: dict[str, Array] = {}
        if "o" in self.gates:
            delta["o"] = (grad_h * found.shown + grad_o) * found.o * (1 - found.o)
        slope = 1 - found.shown**2 if self.parts.output_activation else 1.0
        grad_c = grad_c + grad_h * found.o * slope
        if peephole is not None:
            grad_c = grad_c + peephole[2] * delta["o"]
        grad_f = grad_f + grad_c * c
        grad_i = grad_i + grad_c * found.g - (grad_f if self.parts.coupled else 0.0)
        delta["g"] = grad_c * found.i * (1 - found.g**2 if self.parts.input_activation else 1.0)
        for gate, value, grad in (("i", found.i, grad_i), ("f", found.f, grad_f)):
            if gate in self.gates:
                delta[gate] = grad * value * (1 - value)
        through = np.concatenate([delta[gate] for gate in self.gates], axis=1)
        product = product_gradients(parameters, x, h, through, through)
        gradients, earlier = dict(product.parameters), [product.state[0], grad_c * found.f]
        if peephole is not None:
            earlier[1] = earlier[1] + peephole[0] * delta["i"] + peephole[1] * delta["f"]
            sums = ((delta["i"] * c), (delta["f"] * c), (delta["o"] * found.c))
            gradients[PEEPHOLES] = np.stack([array.sum(axis=0) for array in sums])
        if self.parts.recurrence:
            looked = np.concatenate([delta[gate] for gate in _LOOKING], axis=1)
            gradients[RECURRENCE] = looked.T @ np.concatenate(before, axis=1)
            earlier += np.split(looked @ parameters.extras[RECURRENCE], 3, axis=1)
        return StepGradients(product.x, tuple(earlier), gradients)

    @quiet
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        """Row by row: the gradient of one component of the later state is its row of the Jacobian."""
        batch_size, hidden_size = state[0].shape
        size = hidden_size * len(self.state_names)
        rows = np.tile(np.eye(size, dtype=state[0].dtype), (batch_size, 1))
        repeated = (np.repeat(array, size, axis=0) for array in (x, *state))
        first, *states = repeated
        grad_state = tuple(np.split(rows, len(self.state_names), axis=1))
        found = self.step_backward(parameters, first, tuple(states), grad_state)
        return np.concatenate(found.state, axis=1).reshape(batch_size, size, size)


VARIANTS = {
    "lstm_peephole": Parts(peepholes=True),
    "lstm_coupled": Parts(coupled=True),
    "lstm_no_input_gate": Parts(input_gate=False),
    "lstm_no_forget_gate": Parts(forget_gate=False),
    "lstm_no_output_gate": Parts(output_gate=False),
    "lstm_no_input_activation": Parts(input_activation=False),
    "lstm_no_output_activation": Parts(output_activation=False),
    "lstm_gate_recurrence": Parts(recurrence=True),
}

for _name, _parts in VARIANTS.items():
    CELLS.register(_name)(LSTMVariant(_name, _parts))
