"""Peepholes and full gate recurrence: what gates of a variant of the LSTM see beside x and h.

The one idea: where gates read the gates of the step before, i, f and o stand behind c in every row of
`memory`, so they are kept, recalled, and carried over as c is.
"""

from __future__ import annotations

import numpy as np

from implementations.backends.numba_cpu.compiling import routine
from implementations.backends.numba_cpu.lstm_parts import PEEPHOLES, RECURRENCE, multiply_into, places
from implementations.backends.numba_cpu.products import (
    add_outer,
    clear,
    copy,
    from_column,
    from_step,
    line,
    multiply_step,
    pack,
)
from implementations.backends.numba_cpu.views import flat, span
from implementations.cells.lstm_variants import PEEPHOLES as PEEPHOLE_WEIGHTS
from implementations.cells.lstm_variants import RECURRENCE as RECURRENT_WEIGHTS
from implementations.contract import Array

LOOKING = 3
"""Gates that peepholes and gate recurrences lead to: i, f, o, in the order of the extras' rows."""


def pack_extras_forward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    """The peepholes, and what i and f, then o, read of the gates before."""
    recurrence, size = _recurrence(parameters), parameters["weight_hh"].shape[1]
    return _peepholes(parameters), pack(recurrence[: 2 * size].T), pack(recurrence[2 * size :].T)


def pack_extras_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    """The peepholes, and for each of i, f, o what i and f, then o, read of it."""
    recurrence, size = _recurrence(parameters), parameters["weight_hh"].shape[1]
    of_gates = np.split(recurrence, LOOKING, axis=1)
    read = [pack(rows) for gate in of_gates for rows in (gate[: 2 * size], gate[2 * size :])]
    return _peepholes(parameters), *read


def _peepholes(parameters: dict[str, Array]) -> Array:
    nothing = np.empty((0, 0), parameters["weight_hh"].dtype)
    return np.ascontiguousarray(parameters.get(PEEPHOLE_WEIGHTS, nothing))[None]


def _recurrence(parameters: dict[str, Array]) -> Array:
    return parameters.get(RECURRENT_WEIGHTS, np.empty((0, 0), parameters["weight_hh"].dtype))


@routine
def kept_columns(variant, size):
    """Length of a row of `memory`: c, and i, f, o where the next step's gates read them."""
    return (1 + LOOKING) * size if variant & RECURRENCE else size


@routine
def remember(variant, gates, kept):
    """Puts i, f and o behind c, where the next step's gates read them; one sample."""
    if variant & RECURRENCE:
        size = kept.size // (1 + LOOKING)
        at_i, at_f, _, at_o, _ = places(variant, size)
        copy(span(gates, at_i, size), span(kept, size, size))
        copy(span(gates, at_f, size), span(kept, 2 * size, size))
        copy(span(gates, at_o, size), span(kept, 3 * size, size))


@routine
def read_gates(variant, t, rows, size, weights, cells, place, products):
    """Adds what i, f and o of the step before, which stand behind c at `place`, send to this step's gates."""
    if variant & RECURRENCE:
        before, to_o = from_column(from_step(cells, place), size), from_column(products, 3 * size)
        depth = LOOKING * size
        multiply_step(t, rows, before, flat(weights[3]), depth, products, products, 2 * size)
        multiply_step(t, rows, before, flat(weights[4]), depth, to_o, to_o, size)


@routine
def read_gates_backward(variant, t, rows, size, weights, grads, nothing, carry):
    """What i, f and o of the step before receive from this step's gates."""
    if variant & RECURRENCE:
        of_o = from_column(grads, 3 * size)
        for n in range(LOOKING):
            target = from_step(carry, 2 + n)
            multiply_step(t, rows, grads, flat(weights[3 + 2 * n]), 2 * size, nothing, target, size)
            multiply_step(t, rows, of_o, flat(weights[4 + 2 * n]), size, target, target, size)


@routine
def add_peepholes(variant, begin, steps, first, rows, size, lengths, grads, cells, sums):
    """Adds to the gradients of the three peepholes what the steps from `begin` on give."""
    at_i, at_f, _, at_o, columns = places(variant, size)
    kept_per_row = kept_columns(variant, size)
    for t in range(begin, begin + steps):
        for b in range(rows):
            if t < lengths[first + b]:
                own, c = line(grads, t - begin, b, columns), line(cells, t, b, kept_per_row)
                later = line(cells, t + 1, b, kept_per_row)
                multiply_into(span(c, 0, size), span(own, at_i, size), span(sums, 0, size))
                multiply_into(span(c, 0, size), span(own, at_f, size), span(sums, size, size))
                multiply_into(span(later, 0, size), span(own, at_o, size), span(sums, 2 * size, size))


@routine
def collect_extras(variant, begin, steps, first, rows, size, lengths, grads, cells, keep, sums):
    """keep·sums + the gradients of peepholes and of the gates' recurrence, one behind the other."""
    at = 0
    if variant & PEEPHOLES:
        own = span(sums, 0, LOOKING * size)
        if not keep:
            clear(own)
        add_peepholes(variant, begin, steps, first, rows, size, lengths, grads, cells, own)
        at = LOOKING * size
    if variant & RECURRENCE:
        before, of_o = from_column(from_step(cells, begin), size), from_column(grads, 3 * size)
        depth = LOOKING * size
        to_i_and_f = span(sums, at, 2 * size * depth)
        to_o = span(sums, at + 2 * size * depth, size * depth)
        add_outer(steps, rows, grads, 2 * size, before, depth, keep, to_i_and_f)
        add_outer(steps, rows, of_o, size, before, depth, keep, to_o)
