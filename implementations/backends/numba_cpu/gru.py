"""GRU, reset after the product: r, z = σ(…), n = tanh(W_in x + b_in + r⊙(W_hn h + b_hn)), h' = (1−z)⊙n + z⊙h.

This is PyTorch's and cuDNN's GRU (Cho et al. 2014, in the variant of their footnote).  Kept for the
backward: r, z, n and W_hn h + b_hn of every step (`gates`).
"""

from __future__ import annotations

import numpy as np

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
    from_column,
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
    weight_hh, bias_hh = parameters["weight_hh"], parameters["bias_hh"]
    size = weight_hh.shape[1]
    weights = (pack(parameters["weight_ih"].T), pack(weight_hh[: 2 * size].T), pack(weight_hh[2 * size :].T))
    bias = np.concatenate([parameters["bias_ih"], bias_hh[2 * size :]])
    bias[: 2 * size] += bias_hh[: 2 * size]
    return weights, bias


def pack_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    weight_hh = parameters["weight_hh"]
    size = weight_hh.shape[1]
    return pack(parameters["weight_ih"]), pack(weight_hh[: 2 * size]), pack(weight_hh[2 * size :])


def split_bias(grad: Array) -> tuple[Array, Array]:
    size = grad.size // GATES
    return grad[: 3 * size].copy(), np.concatenate([grad[: 2 * size], grad[3 * size :]])


@routine
def activate(gates):
    """Pre-activations become gates, in place; one sample."""
    size = gates.size // GATES
    r = span(gates, 0, size)
    n = span(gates, 2 * size, size)
    hidden = span(gates, 3 * size, size)
    for j in range(2 * size):
        gates[j] = sigmoid(gates[j])
    for j in range(size):
        n[j] = tanh(n[j] + r[j] * hidden[j])


@routine
def step(gates, h_before, h):
    """Pre-activations become gates, in place; one sample."""
    size = h.size
    activate(gates)
    z = span(gates, size, size)
    n = span(gates, 2 * size, size)
    for j in range(size):
        h[j] = n[j] - z[j] * n[j] + z[j] * h_before[j]


@routine
def step_backward(gates, h_before, grad_h, grads):
    """dL/dh' becomes its direct part z⊙dL/dh', in place, and `grads` dL/d(pre-activations); one sample."""
    size = grad_h.size
    r = span(gates, 0, size)
    z = span(gates, size, size)
    n = span(gates, 2 * size, size)
    hidden = span(gates, 3 * size, size)
    grad_r = span(grads, 0, size)
    grad_z = span(grads, size, size)
    grad_n = span(grads, 2 * size, size)
    grad_hidden = span(grads, 3 * size, size)
    for j in range(size):
        through = grad_h[j] - grad_h[j] * z[j]
        grad_n[j] = through - through * n[j] * n[j]
    for j in range(size):
        grad_hidden[j] = grad_n[j] * r[j]
    for j in range(size):
        grad_r[j] = grad_n[j] * hidden[j] * (r[j] - r[j] * r[j])
    for j in range(size):
        grad_z[j] = grad_h[j] * (h_before[j] - n[j]) * (z[j] - z[j] * z[j])
    for j in range(size):
        grad_h[j] *= z[j]


@routine
def step_samples(t, first, rows, size, lengths, gates, states, ends):
    """Step t of every sample that has not ended."""
    for b in range(rows):
        h_after = line(states, t + 1, b, size)
        if t >= lengths[first + b]:
            clear(h_after)
            continue
        step(line(gates, 0, b, GATES * size), line(states, t, b, size), h_after)
        if t == lengths[first + b] - 1:
            copy(h_after, line(ends, 0, b, size))


@routine
def step_samples_backward(t, first, rows, size, lengths, gates, states, given, any_given, ends, carry, grads):
    """Step t of every sample that has not ended; for the others, `grads` are zero."""
    for b in range(rows):
        grad_h = line(carry, 0, b, size)
        if t >= lengths[first + b]:
            clear(line(grads, 0, b, GRADS * size))
            continue
        if t == lengths[first + b] - 1:
            copy(line(ends, 0, b, size), grad_h)
        if any_given:
            add(line(given, t, b, size), grad_h)
        step_backward(
            line(gates, t, b, GATES * size), line(states, t, b, size), grad_h, line(grads, 0, b, GRADS * size)
        )


@kernel
def forward(
    variant, stages, inputs, weights, bias, h, memory, every, gates, origin, final, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    x, states, ends, biases = rows_of(inputs, first), rows_of(h, first), rows_of(final, first), one_row(bias)
    hidden_bias = from_column(biases, 3 * size)
    kept = gates.size > 0
    every_gate = rows_of(gates, first) if kept else rows_in(workspace, 0, rows, GATES * size)
    weight_ih, weight_rz, weight_n = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        products = from_step(every_gate, begin - origin if kept else 0)
        if stages & PROJECT:
            multiply(end - begin, rows, from_step(x, begin), weight_ih, width, biases, products, 3 * size)
        if stages & STEP:
            for t in range(begin, end):
                now = from_step(products, t - begin)
                h_before, hidden = from_step(states, t), from_column(now, 3 * size)
                if t % 2 == 0:  # each step begins with the weights that the one before it ended with
                    multiply_step(t, rows, h_before, weight_n, size, hidden_bias, hidden, size)
                multiply_step(t, rows, h_before, weight_rz, size, now, now, 2 * size)
                if t % 2 == 1:
                    multiply_step(t, rows, h_before, weight_n, size, hidden_bias, hidden, size)
                step_samples(t, first, rows, size, lengths, now, states, ends)


@kernel
def recall(
    variant, inputs, weights, bias, h, memory, gates, since, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    x, states, biases = rows_of(inputs, first), rows_of(h, first), one_row(bias)
    hidden_bias = from_column(biases, 3 * size)
    every_gate = from_step(rows_of(gates, first), -since)
    weight_ih, weight_rz, weight_n = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for begin in range(start, stop, block):
        steps = min(block, stop - begin)
        products, h_block = from_step(every_gate, begin), from_step(states, begin)
        hidden = from_column(products, 3 * size)
        multiply(steps, rows, from_step(x, begin), weight_ih, width, biases, products, 3 * size)
        multiply(steps, rows, h_block, weight_rz, size, products, products, 2 * size)
        multiply(steps, rows, h_block, weight_n, size, hidden_bias, hidden, size)
        for t in range(begin, begin + steps):
            for b in range(rows):
                activate(line(every_gate, t, b, GATES * size))


@kernel
def backward(
    variant, stages, inputs, previous, weights, h, memory, gates, since, grad_gates, origin,
    grad_output, grad_final, lengths, first, last, start, stop, block, keep,
    grad_inputs, grad_initial, grad_weight_ih, grad_weight_hh, grad_bias, workspace, zeros,
):  # fmt: skip
    width, size, rows = inputs.shape[2], previous.shape[2], last - first
    x, before = rows_of(inputs, first), rows_of(previous, first)
    every_gate = from_step(rows_of(gates, first), -since)
    given, ends, nothing = rows_of(grad_output, first), rows_of(grad_final, first), one_row(zeros)
    grad_x, carry = rows_of(grad_inputs, first), rows_of(grad_initial, first)
    kept = grad_gates.size > 0
    every_grad = rows_of(grad_gates, first) if kept else rows_in(workspace, 0, rows, GRADS * size)
    weight_ih, weight_rz, weight_n = flat(weights[0]), flat(weights[1]), flat(weights[2])
    grad_weight_rz = span(grad_weight_hh, 0, 2 * size * size)
    grad_weight_n = span(grad_weight_hh, 2 * size * size, size * size)
    for end in range(stop, start, -block):
        begin = max(end - block, start)
        grads = from_step(every_grad, begin - origin if kept else 0)
        if stages & STEP:
            for t in range(end - 1, begin - 1, -1):
                now = from_step(grads, t - begin)
                step_samples_backward(
                    t, first, rows, size, lengths, every_gate, before,
                    given, grad_output.size > 0, ends, carry, now,
                )  # fmt: skip
                multiply_step(t, rows, now, weight_rz, 2 * size, carry, carry, size)
                multiply_step(t, rows, from_column(now, 3 * size), weight_n, size, carry, carry, size)
        if stages & COLLECT:
            steps, x_block, h_block = end - begin, from_step(x, begin), from_step(before, begin)
            multiply(steps, rows, grads, weight_ih, 3 * size, nothing, from_step(grad_x, begin), width)
            add_outer(steps, rows, grads, 3 * size, x_block, width, keep, flat(grad_weight_ih))
            add_outer(steps, rows, grads, 2 * size, h_block, size, keep, grad_weight_rz)
            add_outer(steps, rows, from_column(grads, 3 * size), size, h_block, size, keep, grad_weight_n)
            add_lines(steps * rows, grads, keep, flat(grad_bias))
            keep = 1
