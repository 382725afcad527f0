"""The simple RNN: h' = φ(W_ih x + W_hh h + b), or φ before the product: h' = W_ih x + W_hh φ(h) + b.

`variant` says which φ and where.  Kept for the backward: nothing where φ comes last, since φ'(a) follows
from φ(a); φ(h) of every step (`memory`) where it comes first.
"""

from __future__ import annotations

from implementations.backends.numba_cpu.activations import like, tanh
from implementations.backends.numba_cpu.compiling import kernel, routine
from implementations.backends.numba_cpu.products import (
    COLLECT,
    PROJECT,
    STEP,
    Rows,
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
from implementations.backends.numba_cpu.views import flat
from implementations.contract import Array

GATES = 0
GRADS = 1

TANH, RELU, LINEAR = 0, 1, 2
BEFORE_PRODUCT = 4
"""Added to φ's number in `variant`."""


def pack_forward(parameters: dict[str, Array]) -> tuple[tuple[Array, ...], Array]:
    weights = (pack(parameters["weight_ih"].T), pack(parameters["weight_hh"].T))
    return weights, parameters["bias_ih"] + parameters["bias_hh"]


def pack_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    return pack(parameters["weight_ih"]), pack(parameters["weight_hh"])


def split_bias(grad: Array) -> tuple[Array, Array]:
    return grad, grad.copy()


@routine
def activate(variant, values):
    """φ, in place; a NaN stays one."""
    if variant % BEFORE_PRODUCT == TANH:
        for j in range(values.size):
            values[j] = tanh(values[j])
    elif variant % BEFORE_PRODUCT == RELU:
        for j in range(values.size):
            zero = like(values[j], 0)
            values[j] = zero if values[j] < zero else values[j]


@routine
def activate_backward(variant, values, grad):
    """dL/dφ(a) becomes dL/da, in place; `values` are φ(a).  A closed ReLU stops any gradient, NaN too."""
    if variant % BEFORE_PRODUCT == TANH:
        for j in range(grad.size):
            grad[j] -= grad[j] * values[j] * values[j]
    elif variant % BEFORE_PRODUCT == RELU:
        for j in range(grad.size):
            zero = like(grad[j], 0)
            grad[j] = zero if values[j] <= zero else grad[j]


@routine
def activate_samples(variant, t, first, rows, size, lengths, states, squashed):
    """φ(h) of every sample that has not ended; for the others, zeros."""
    for b in range(rows):
        value = line(squashed, t, b, size)
        if t >= lengths[first + b]:
            clear(value)
            continue
        copy(line(states, t, b, size), value)
        activate(variant, value)


@routine
def step_samples(variant, t, first, rows, size, lengths, states, ends):
    """Step t of every sample that has not ended."""
    for b in range(rows):
        h_after = line(states, t + 1, b, size)
        if t >= lengths[first + b]:
            clear(h_after)
            continue
        if variant < BEFORE_PRODUCT:
            activate(variant, h_after)
        if t == lengths[first + b] - 1:
            copy(h_after, line(ends, 0, b, size))


@routine
def step_samples_backward(
    variant, t, first, rows, size, lengths, states, given, any_given, ends, carry, grads
):
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
        grad_a = line(grads, 0, b, GRADS * size)
        copy(grad_h, grad_a)
        if variant < BEFORE_PRODUCT:
            activate_backward(variant, line(states, t + 1, b, size), grad_a)


@routine
def activate_samples_backward(variant, t, rows, size, squashed, carry):
    """dL/dφ(h) becomes dL/dh, in place, for every sample."""
    for b in range(rows):
        activate_backward(variant, line(squashed, t, b, size), line(carry, 0, b, size))


@kernel
def forward(
    variant, stages, inputs, weights, bias, h, memory, every, gates, origin, final, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    width, size, rows = inputs.shape[2], h.shape[2], last - first
    x, states, ends, biases = rows_of(inputs, first), rows_of(h, first), rows_of(final, first), one_row(bias)
    squashed = rows_of(memory, first)
    if not memory.size:
        squashed = Rows(flat(workspace), 0, 0, size)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        if stages & PROJECT:
            products = from_step(states, begin + 1)
            multiply(end - begin, rows, from_step(x, begin), weight_ih, width, biases, products, size)
        if stages & STEP:
            for t in range(begin, end):
                before, now = from_step(states, t), from_step(states, t + 1)
                if variant >= BEFORE_PRODUCT:
                    activate_samples(variant, t, first, rows, size, lengths, states, squashed)
                    before = from_step(squashed, t)
                multiply_step(t, rows, before, weight_hh, size, now, now, size)
                step_samples(variant, t, first, rows, size, lengths, states, ends)


@kernel
def recall(
    variant, inputs, weights, bias, h, memory, gates, since, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    size, rows = h.shape[2], last - first
    states, squashed = rows_of(h, first), from_step(rows_of(memory, first), -since)
    for t in range(start, stop):
        activate_samples(variant, t, first, rows, size, lengths, states, squashed)


@kernel
def backward(
    variant, stages, inputs, previous, weights, h, memory, gates, since, grad_gates, origin,
    grad_output, grad_final, lengths, first, last, start, stop, block, keep,
    grad_inputs, grad_initial, grad_weight_ih, grad_weight_hh, grad_bias, workspace, zeros,
):  # fmt: skip
    width, size, rows = inputs.shape[2], previous.shape[2], last - first
    x, before, states = rows_of(inputs, first), rows_of(previous, first), rows_of(h, first)
    if variant >= BEFORE_PRODUCT:
        before = from_step(rows_of(memory, first), -since)
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
                    variant, t, first, rows, size, lengths, states,
                    given, grad_output.size > 0, ends, carry, now,
                )  # fmt: skip
                multiply_step(t, rows, now, weight_hh, GRADS * size, nothing, carry, size)
                if variant >= BEFORE_PRODUCT:
                    activate_samples_backward(variant, t, rows, size, before, carry)
        if stages & COLLECT:
            steps, x_block, h_block = end - begin, from_step(x, begin), from_step(before, begin)
            multiply(steps, rows, grads, weight_ih, GRADS * size, nothing, from_step(grad_x, begin), width)
            add_outer(steps, rows, grads, GRADS * size, x_block, width, keep, flat(grad_weight_ih))
            add_outer(steps, rows, grads, GRADS * size, h_block, size, keep, flat(grad_weight_hh))
            add_lines(steps * rows, grads, keep, flat(grad_bias))
            keep = 1
