"""The one-step Jacobians of the LSTM's variants by hand, as `formulas` has those of the other cells.

Each is written out forwards, from the later state to the earlier one, as the equations of the cell say it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.validation.formulas import Array, State, affine, logistic, recurrent_blocks, slope
from implementations.contract import Parameters

Blocks = dict[str, Array]


def arguments(parameters: Parameters, x: Array, h: Array) -> list[Array]:
    """a_q of every gate that there is, in the cell's order, without what peepholes and recurrences add."""
    return [np.add(*affine(parameters, x, h, gate)) for gate in range(parameters.num_gates)]


def of_two_states(hh: Array, hc: Array, ch: Array, cc: Array) -> Blocks:
    return {"hh": hh, "hc": hc, "ch": ch, "cc": cc, "ss": np.block([[hh, hc], [ch, cc]])}


def shown_by_gate(later: Array, a_o: Array, u_o: Array, ch: Array, cc: Array) -> Blocks:
    """h' = o tanh c': hh = tanh c' o' U_o + k ch, hc = k cc, k = o sech² c'."""
    k = np.diag(logistic(a_o) * np.cosh(later) ** -2.0)
    return of_two_states(np.diag(np.tanh(later) * slope(a_o)) @ u_o + k @ ch, k @ cc, ch, cc)


def peephole(parameters: Parameters, x: Array, state: State) -> Blocks:
    """cc = f + g i' p_i + c f' p_f; o reads c': ∂o = o' (U_o + p_o ∂c')."""
    h, c = state
    p_i, p_f, p_o = parameters.extras["weight_peephole"]
    a_i, a_f, a_g, a_o = arguments(parameters, x, h)
    u_i, u_f, u_g, u_o = recurrent_blocks(parameters)
    a_i, a_f, g = a_i + p_i * c, a_f + p_f * c, np.tanh(a_g)
    later = logistic(a_f) * c + logistic(a_i) * g
    a_o = a_o + p_o * later
    through_i, through_f = np.diag(g * slope(a_i)), np.diag(c * slope(a_f))
    ch = through_i @ u_i + through_f @ u_f + np.diag(logistic(a_i) * (1.0 - g**2)) @ u_g
    cc = np.diag(logistic(a_f)) + through_i * p_i + through_f * p_f
    through_o = np.diag(np.tanh(later) * slope(a_o))
    k = np.diag(logistic(a_o) * np.cosh(later) ** -2.0)
    hh = through_o @ (u_o + np.diag(p_o) @ ch) + k @ ch
    return of_two_states(hh, through_o @ np.diag(p_o) @ cc + k @ cc, ch, cc)


def coupled(parameters: Parameters, x: Array, state: State) -> Blocks:
    """c' = c + i (g − c): cc = 1 − i, ch = (g − c) i' U_i + i (1 − g²) U_g."""
    h, c = state
    a_i, a_g, a_o = arguments(parameters, x, h)
    u_i, u_g, u_o = recurrent_blocks(parameters)
    i, g = logistic(a_i), np.tanh(a_g)
    ch = np.diag((g - c) * slope(a_i)) @ u_i + np.diag(i * (1.0 - g**2)) @ u_g
    return shown_by_gate(c + i * (g - c), a_o, u_o, ch, np.diag(1.0 - i))


def no_input_gate(parameters: Parameters, x: Array, state: State) -> Blocks:
    """c' = f c + g: cc = f, ch = c f' U_f + (1 − g²) U_g."""
    h, c = state
    a_f, a_g, a_o = arguments(parameters, x, h)
    u_f, u_g, u_o = recurrent_blocks(parameters)
    f, g = logistic(a_f), np.tanh(a_g)
    ch = np.diag(c * slope(a_f)) @ u_f + np.diag(1.0 - g**2) @ u_g
    return shown_by_gate(f * c + g, a_o, u_o, ch, np.diag(f))


def no_forget_gate(parameters: Parameters, x: Array, state: State) -> Blocks:
    """c' = c + i g: cc = 1, ch = g i' U_i + i (1 − g²) U_g."""
    h, c = state
    a_i, a_g, a_o = arguments(parameters, x, h)
    u_i, u_g, u_o = recurrent_blocks(parameters)
    i, g = logistic(a_i), np.tanh(a_g)
    ch = np.diag(g * slope(a_i)) @ u_i + np.diag(i * (1.0 - g**2)) @ u_g
    return shown_by_gate(c + i * g, a_o, u_o, ch, np.eye(len(c)))


def no_output_gate(parameters: Parameters, x: Array, state: State) -> Blocks:
    """h' = tanh c': the rows of h' are those of c', times sech² c'."""
    h, c = state
    a_i, a_f, a_g = arguments(parameters, x, h)
    u_i, u_f, u_g = recurrent_blocks(parameters)
    i, f, g = logistic(a_i), logistic(a_f), np.tanh(a_g)
    ch = np.diag(g * slope(a_i)) @ u_i + np.diag(c * slope(a_f)) @ u_f + np.diag(i * (1.0 - g**2)) @ u_g
    shown = np.diag(np.cosh(f * c + i * g) ** -2.0)
    return of_two_states(shown @ ch, shown @ np.diag(f), ch, np.diag(f))


def no_input_activation(parameters: Parameters, x: Array, state: State) -> Blocks:
    """c' = f c + i a_g: ch = a_g i' U_i + c f' U_f + i U_g."""
    h, c = state
    a_i, a_f, a_g, a_o = arguments(parameters, x, h)
    u_i, u_f, u_g, u_o = recurrent_blocks(parameters)
    i, f = logistic(a_i), logistic(a_f)
    ch = np.diag(a_g * slope(a_i)) @ u_i + np.diag(c * slope(a_f)) @ u_f + np.diag(i) @ u_g
    return shown_by_gate(f * c + i * a_g, a_o, u_o, ch, np.diag(f))


def no_output_activation(parameters: Parameters, x: Array, state: State) -> Blocks:
    """h' = o c': hh = c' o' U_o + o ch, hc = o cc."""
    h, c = state
    a_i, a_f, a_g, a_o = arguments(parameters, x, h)
    u_i, u_f, u_g, u_o = recurrent_blocks(parameters)
    i, f, g, o = logistic(a_i), logistic(a_f), np.tanh(a_g), logistic(a_o)
    ch = np.diag(g * slope(a_i)) @ u_i + np.diag(c * slope(a_f)) @ u_f + np.diag(i * (1.0 - g**2)) @ u_g
    hh = np.diag((f * c + i * g) * slope(a_o)) @ u_o + np.diag(o) @ ch
    return of_two_states(hh, np.diag(o * f), ch, np.diag(f))


def gate_recurrence(parameters: Parameters, x: Array, state: State) -> Blocks:
    """Each gate reads (h, i, f, o) through V_q = [U_q 0 R_qi R_qf R_qo]; five rows of blocks.

    ∂i' = i'' V_i alike f', o'; ∂c' = f E_c + g ∂i' + c ∂f' + (1 − g²) i V_g; ∂h' = tanh c' ∂o' + k ∂c'.
    """
    h, c, *gates = state
    size, read = len(h), parameters.extras["weight_gates"]
    a_i, a_f, a_g, a_o = arguments(parameters, x, h)
    a_i, a_f, a_o = (
        a + read[n * size :][:size] @ np.concatenate(gates) for n, a in enumerate((a_i, a_f, a_o))
    )
    u_i, u_f, u_g, u_o = recurrent_blocks(parameters)
    none = np.zeros((size, size))
    v_i, v_f, v_o = (np.hstack([u, none, read[n * size :][:size]]) for n, u in enumerate((u_i, u_f, u_o)))
    v_g = np.hstack([u_g, none, none, none, none])
    kept = np.hstack([none, np.diag(logistic(a_f)), none, none, none])
    i, g = logistic(a_i), np.tanh(a_g)
    later = logistic(a_f) * c + i * g
    by_i, by_f, by_o = (np.diag(slope(a)) @ v for a, v in ((a_i, v_i), (a_f, v_f), (a_o, v_o)))
    by_c = kept + np.diag(g) @ by_i + np.diag(c) @ by_f + np.diag(i * (1.0 - g**2)) @ v_g
    by_h = np.diag(np.tanh(later)) @ by_o + np.diag(logistic(a_o) * np.cosh(later) ** -2.0) @ by_c
    rows = dict(zip("hcifo", (by_h, by_c, by_i, by_f, by_o), strict=True))
    blocks = {
        to + of: row[:, n * size :][:, :size] for to, row in rows.items() for n, of in enumerate("hcifo")
    }
    return blocks | {"ss": np.vstack(list(rows.values()))}


LSTM_VARIANTS: dict[str, Callable[[Parameters, Array, State], Blocks]] = {
    "lstm_peephole": peephole,
    "lstm_coupled": coupled,
    "lstm_no_input_gate": no_input_gate,
    "lstm_no_forget_gate": no_forget_gate,
    "lstm_no_output_gate": no_output_gate,
    "lstm_no_input_activation": no_input_activation,
    "lstm_no_output_activation": no_output_activation,
    "lstm_gate_recurrence": gate_recurrence,
}
"""As `formulas.ONE_STEP`."""
