"""Variants of the LSTM in one kernel: `variant` says which parts there are (`lstm_parts`, `lstm_extras`).

Kept for the backward: the gates that there are, in the order i, f, g, o (`gates`), and c, with i, f and o
behind it where gates read gates (`memory`).
"""

from __future__ import annotations

from implementations.backends.numba_cpu.compiling import kernel, routine
from implementations.backends.numba_cpu.lstm_extras import (
    collect_extras,
    kept_columns,
    pack_extras_backward,
    pack_extras_forward,
    read_gates,
    read_gates_backward,
    remember,
)
from implementations.backends.numba_cpu.lstm_parts import RECURRENCE, advance, places, show, step_backward
from implementations.backends.numba_cpu.products import (
    COLLECT,
    PROJECT,
    STEP,
    add,
    add_lines,
    add_outer,
    clear,
    copy,
    from_step,
    line,
    multiply,
    multiply_step,
    one_row,
    pack,
    rows_in,
    rows_of,
)
from implementations.backends.numba_cpu.views import flat, span
from implementations.contract import Array

GATES = 4
GRADS = 4


def pack_forward(parameters: dict[str, Array]) -> tuple[tuple[Array, ...], Array]:
    weights = pack(parameters["weight_ih"].T), pack(parameters["weight_hh"].T)
    return (*weights, *pack_extras_forward(parameters)), parameters["bias_ih"] + parameters["bias_hh"]


def pack_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    return pack(parameters["weight_ih"]), pack(parameters["weight_hh"]), *pack_extras_backward(parameters)


def split_bias(grad: Array) -> tuple[Array, Array]:
    return grad, grad.copy()


@routine
def carry_over(t, fresh, first, rows, columns, lengths, cells, place):
    """At `place` + 1, what step t is to change, and zeros for samples that have ended: products go over all.

    Args:
        fresh: the step before it wrote to `place`; otherwise it wrote to `place` + 1.
    """
    for b in range(rows):
        kept = line(cells, place + 1, b, columns)
        if t >= lengths[first + b]:
            clear(kept)
        elif fresh:
            copy(line(cells, place, b, columns), kept)


@routine
def step_samples(variant, t, first, rows, size, lengths, peepholes, gates, cells, place, states, ends):
    """Step t of every sample that has not ended; c changes in its place."""
    columns, width = kept_columns(variant, size), places(variant, size)[4]
    for b in range(rows):
        h_after = line(states, t + 1, b, size)
        if t >= lengths[first + b]:
            clear(h_after)
            continue
        kept, own = line(cells, place + 1, b, columns), line(gates, 0, b, width)
        c = span(kept, 0, size)
        advance(variant, peepholes, own, c)
        show(variant, own, c, h_after)
        remember(variant, own, kept)
        if t == lengths[first + b] - 1:
            copy(h_after, line(ends, 0, b, size))
            for n in range(columns // size):
                copy(span(kept, n * size, size), line(ends, 1 + n, b, size))


@kernel
def forward(
    variant, stages, inputs, weights, bias, h, memory, every, gates, origin, final, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    columns = places(variant, size)[4]
    x, states, ends, biases = rows_of(inputs, first), rows_of(h, first), rows_of(final, first), one_row(bias)
    kept = gates.size > 0
    every_gate = rows_of(gates, first) if kept else rows_in(workspace, 0, rows, columns)
    cells, kept_per_row = rows_of(memory, first), kept_columns(variant, size)
    weight_ih, weight_hh, peepholes = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        products = from_step(every_gate, begin - origin if kept else 0)
        if stages & PROJECT:
            multiply(end - begin, rows, from_step(x, begin), weight_ih, width, biases, products, columns)
        if stages & STEP:
            for t in range(begin, end):
                now, place = from_step(products, t - begin), t // every
                multiply_step(t, rows, from_step(states, t), weight_hh, size, now, now, columns)
                carry_over(t, t == place * every, first, rows, kept_per_row, lengths, cells, place)
                read_gates(variant, t, rows, size, weights, cells, place + 1, now)
                step_samples(
                    variant, t, first, rows, size, lengths, peepholes, now, cells, place, states, ends
                )


@kernel
def recall(
    variant, inputs, weights, bias, h, memory, gates, since, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    columns, kept_per_row = places(variant, size)[4], kept_columns(variant, size)
    x, states, biases = rows_of(inputs, first), rows_of(h, first), one_row(bias)
    every_gate, cells = from_step(rows_of(gates, first), -since), from_step(rows_of(memory, first), -since)
    weight_ih, weight_hh, peepholes = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for begin in range(start, stop, block):
        steps, products = min(block, stop - begin), from_step(every_gate, begin)
        multiply(steps, rows, from_step(x, begin), weight_ih, width, biases, products, columns)
        multiply(steps, rows, from_step(states, begin), weight_hh, size, products, products, columns)
        for t in range(begin, begin + steps):
            now = from_step(every_gate, t)
            carry_over(t, True, first, rows, kept_per_row, lengths, cells, t)
            read_gates(variant, t, rows, size, weights, cells, t + 1, now)
            for b in range(rows):
                if t < lengths[first + b]:
                    kept, own = line(cells, t + 1, b, kept_per_row), line(now, 0, b, columns)
                    advance(variant, peepholes, own, span(kept, 0, size))
                    remember(variant, own, kept)


@routine
def step_samples_backward(
    variant, t, first, rows, size, lengths, peepholes, gates, cells, given, any_given, ends, carry, grads
):
    """Step t of every sample that has not ended; for the others, `grads` are zero."""
    columns, kept_per_row = places(variant, size)[4], kept_columns(variant, size)
    for b in range(rows):
        grad_h, grad_c = line(carry, 0, b, size), line(carry, 1, b, size)
        own = line(grads, 0, b, columns)
        if t >= lengths[first + b]:
            clear(own)
            continue
        if t == lengths[first + b] - 1:
            for n in range(1 + kept_per_row // size):
                copy(line(ends, n, b, size), line(carry, n, b, size))
        if any_given:
            add(line(given, t, b, size), grad_h)
        read = 2 if variant & RECURRENCE else 0
        step_backward(
            variant, peepholes, line(gates, t, b, columns),
            span(line(cells, t, b, kept_per_row), 0, size),
            span(line(cells, t + 1, b, kept_per_row), 0, size),
            grad_h, grad_c, line(carry, read, b, size), line(carry, read + 1, b, size),
            line(carry, 2 * read, b, size), own,
        )  # fmt: skip


@kernel
def backward(
    variant, stages, inputs, previous, weights, h, memory, gates, since, grad_gates, origin,
    grad_output, grad_final, lengths, first, last, start, stop, block, keep,
    grad_inputs, grad_initial, grad_weight_ih, grad_weight_hh, grad_bias, workspace, zeros,
):  # fmt: skip
    width, size, rows = inputs.shape[2], previous.shape[2], last - first
    columns = places(variant, size)[4]
    x, before = rows_of(inputs, first), rows_of(previous, first)
    every_gate, cells = from_step(rows_of(gates, first), -since), from_step(rows_of(memory, first), -since)
    given, ends, nothing = rows_of(grad_output, first), rows_of(grad_final, first), one_row(zeros)
    grad_x, carry = rows_of(grad_inputs, first), rows_of(grad_initial, first)
    kept = grad_gates.size > 0
    every_grad = rows_of(grad_gates, first) if kept else rows_in(workspace, 0, rows, columns)
    weight_ih, weight_hh, peepholes = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for end in range(stop, start, -block):
        begin = max(end - block, start)
        grads = from_step(every_grad, begin - origin if kept else 0)
        if stages & STEP:
            for t in range(end - 1, begin - 1, -1):
                now = from_step(grads, t - begin)
                step_samples_backward(
                    variant, t, first, rows, size, lengths, peepholes, every_gate, cells,
                    given, grad_output.size > 0, ends, carry, now,
                )  # fmt: skip
                multiply_step(t, rows, now, weight_hh, columns, nothing, carry, size)
                read_gates_backward(variant, t, rows, size, weights, now, nothing, carry)
        if stages & COLLECT:
            steps, x_block, h_block = end - begin, from_step(x, begin), from_step(before, begin)
            bias, extras = span(grad_bias, 0, columns), span(grad_bias, columns, grad_bias.size - columns)
            multiply(steps, rows, grads, weight_ih, columns, nothing, from_step(grad_x, begin), width)
            add_outer(steps, rows, grads, columns, x_block, width, keep, flat(grad_weight_ih))
            add_outer(steps, rows, grads, columns, h_block, size, keep, flat(grad_weight_hh))
            add_lines(steps * rows, grads, keep, bias)
            collect_extras(variant, begin, steps, first, rows, size, lengths, grads, cells, keep, extras)
            keep = 1
