"""LSTM: i, f, o = σ(…), g = tanh(…), c' = f⊙c + i⊙g, h' = o⊙tanh(c')  (Hochreiter, Schmidhuber 1997).

Kept for the backward: i, f, g, o of every step (`gates`) and c (`memory`).
"""

from __future__ import annotations

from implementations.backends.numba_cpu.activations import sigmoid, tanh
from implementations.backends.numba_cpu.compiling import kernel, routine
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
    weights = (pack(parameters["weight_ih"].T), pack(parameters["weight_hh"].T))
    return weights, parameters["bias_ih"] + parameters["bias_hh"]


def pack_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    return pack(parameters["weight_ih"]), pack(parameters["weight_hh"])


def split_bias(grad: Array) -> tuple[Array, Array]:
    return grad, grad.copy()


@routine
def advance(gates, c):
    """Pre-activations become gates and c becomes c', in place; one sample."""
    size = c.size
    i = span(gates, 0, size)
    f = span(gates, size, size)
    g = span(gates, 2 * size, size)
    o = span(gates, 3 * size, size)
    for j in range(2 * size):
        gates[j] = sigmoid(gates[j])
    for j in range(size):
        g[j] = tanh(g[j])
    for j in range(size):
        o[j] = sigmoid(o[j])
    for j in range(size):
        c[j] = f[j] * c[j] + i[j] * g[j]


@routine
def step(gates, c, h):
    """As `advance`, and h' from both."""
    size = h.size
    advance(gates, c)
    o = span(gates, 3 * size, size)
    for j in range(size):
        h[j] = o[j] * tanh(c[j])


@routine
def step_backward(gates, c_before, c, grad_h, grad_c, grads):
    """dL/dc' becomes dL/dc, in place, and `grads` dL/d(pre-activations); one sample."""
    size = c.size
    i = span(gates, 0, size)
    f = span(gates, size, size)
    g = span(gates, 2 * size, size)
    o = span(gates, 3 * size, size)
    grad_i = span(grads, 0, size)
    grad_f = span(grads, size, size)
    grad_g = span(grads, 2 * size, size)
    grad_o = span(grads, 3 * size, size)
    for j in range(size):
        squashed = tanh(c[j])
        through = grad_h[j] * o[j]
        grad_c[j] += through - through * squashed * squashed
        grad_o[j] = grad_h[j] * squashed * (o[j] - o[j] * o[j])
    for j in range(size):
        grad_i[j] = grad_c[j] * g[j] * (i[j] - i[j] * i[j])
    for j in range(size):
        grad_f[j] = grad_c[j] * c_before[j] * (f[j] - f[j] * f[j])
    for j in range(size):
        grad_g[j] = grad_c[j] * (i[j] - i[j] * g[j] * g[j])
    for j in range(size):
        grad_c[j] *= f[j]


@routine
def step_samples(t, first, rows, size, lengths, gates, cells, every, states, ends):
    """Step t of every sample that has not ended; c changes in one place for `every` steps."""
    place = t // every
    for b in range(rows):
        h_after = line(states, t + 1, b, size)
        if t >= lengths[first + b]:
            clear(h_after)
            continue
        c = line(cells, place + 1, b, size)
        if t == place * every:
            copy(line(cells, place, b, size), c)
        step(line(gates, 0, b, GATES * size), c, h_after)
        if t == lengths[first + b] - 1:
            copy(h_after, line(ends, 0, b, size))
            copy(c, line(ends, 1, b, size))


@routine
def recall_samples(t, first, rows, size, lengths, gates, cells):
    """Gates and c of step t for every sample that has not ended."""
    for b in range(rows):
        if t < lengths[first + b]:
            c = line(cells, t + 1, b, size)
            copy(line(cells, t, b, size), c)
            advance(line(gates, t, b, GATES * size), c)


@routine
def step_samples_backward(t, first, rows, size, lengths, gates, cells, given, any_given, ends, carry, grads):
    """Step t of every sample that has not ended; for the others, `grads` are zero."""
    for b in range(rows):
        grad_h, grad_c = line(carry, 0, b, size), line(carry, 1, b, size)
        if t >= lengths[first + b]:
            clear(line(grads, 0, b, GRADS * size))
            continue
        if t == lengths[first + b] - 1:
            copy(line(ends, 0, b, size), grad_h)
            copy(line(ends, 1, b, size), grad_c)
        if any_given:
            add(line(given, t, b, size), grad_h)
        c_before, c = line(cells, t, b, size), line(cells, t + 1, b, size)
        step_backward(
            line(gates, t, b, GATES * size), c_before, c, grad_h, grad_c, line(grads, 0, b, GRADS * size)
        )


@kernel
def forward(
    variant, stages, inputs, weights, bias, h, memory, every, gates, origin, final, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    x, states, ends, biases = rows_of(inputs, first), rows_of(h, first), rows_of(final, first), one_row(bias)
    kept = gates.size > 0
    every_gate = rows_of(gates, first) if kept else rows_in(workspace, 0, rows, GATES * size)
    cells = rows_of(memory, first)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        products = from_step(every_gate, begin - origin if kept else 0)
        if stages & PROJECT:
            multiply(end - begin, rows, from_step(x, begin), weight_ih, width, biases, products, GATES * size)
        if stages & STEP:
            for t in range(begin, end):
                now = from_step(products, t - begin)
                multiply_step(t, rows, from_step(states, t), weight_hh, size, now, now, GATES * size)
                step_samples(t, first, rows, size, lengths, now, cells, every, states, ends)


@kernel
def recall(
    variant, inputs, weights, bias, h, memory, gates, since, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    x, states, biases = rows_of(inputs, first), rows_of(h, first), one_row(bias)
    every_gate, cells = from_step(rows_of(gates, first), -since), from_step(rows_of(memory, first), -since)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for begin in range(start, stop, block):
        steps, products = min(block, stop - begin), from_step(every_gate, begin)
        multiply(steps, rows, from_step(x, begin), weight_ih, width, biases, products, GATES * size)
        multiply(steps, rows, from_step(states, begin), weight_hh, size, products, products, GATES * size)
        for t in range(begin, begin + steps):
            recall_samples(t, first, rows, size, lengths, every_gate, cells)


@kernel
def backward(
    variant, stages, inputs, previous, weights, h, memory, gates, since, grad_gates, origin,
    grad_output, grad_final, lengths, first, last, start, stop, block, keep,
    grad_inputs, grad_initial, grad_weight_ih, grad_weight_hh, grad_bias, workspace, zeros,
):  # fmt: skip
    width, size, rows = inputs.shape[2], previous.shape[2], last - first
    x, before = rows_of(inputs, first), rows_of(previous, first)
    every_gate, cells = from_step(rows_of(gates, first), -since), from_step(rows_of(memory, first), -since)
    given, ends, nothing = rows_of(grad_output, first), rows_of(grad_final, first), one_row(zeros)
    grad_x, carry = rows_of(grad_inputs, first), rows_of(grad_initial, first)
    kept = grad_gates.size > 0
    every_grad = rows_of(grad_gates, first) if kept else rows_in(workspace, 0, rows, GRADS * size)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for end in range(stop, start, -block):
        begin = max(end - block, start)
        grads = from_step(every_grad, begin - origin if kept else 0)
        if stages & STEP:
            for t in range(end - 1, begin - 1, -1):
                now = from_step(grads, t - begin)
                step_samples_backward(
                    t, first, rows, size, lengths, every_gate, cells,
                    given, grad_output.size > 0, ends, carry, now,
                )  # fmt: skip
                multiply_step(t, rows, now, weight_hh, GRADS * size, nothing, carry, size)
        if stages & COLLECT:
            steps, x_block, h_block = end - begin, from_step(x, begin), from_step(before, begin)
            multiply(steps, rows, grads, weight_ih, GRADS * size, nothing, from_step(grad_x, begin), width)
            add_outer(steps, rows, grads, GRADS * size, x_block, width, keep, flat(grad_weight_ih))
            add_outer(steps, rows, grads, GRADS * size, h_block, size, keep, flat(grad_weight_hh))
            add_lines(steps * rows, grads, keep, flat(grad_bias))
            keep = 1
