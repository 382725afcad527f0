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
    pack,
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


@kernel
def forward(
    variant, stages, inputs, weights, bias, h, memory, gates, origin, final, lengths,
    first, last, start, stop, block, workspace,
):  # fmt: skip
    batch, width = inputs.shape[1:]
    size, rows = h.shape[2], last - first
    x = Rows(flat(inputs), first * width, batch * width, width)
    states = Rows(flat(h), first * size, batch * size, size)
    ends = Rows(flat(final), first * size, batch * size, size)
    squashed = Rows(flat(memory), first * size, batch * size, size)
    if not memory.size:
        squashed = Rows(flat(workspace), 0, 0, size)
    early = variant >= BEFORE_PRODUCT
    biases = Rows(flat(bias), 0, 0, 0)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        after = from_step(states, begin + 1)
        if stages & PROJECT:
            multiply(end - begin, rows, from_step(x, begin), weight_ih, width, biases, after, size)
        if stages & STEP:
            for t in range(begin, end):
                before, now = from_step(states, t), from_step(states, t + 1)
                if early:
                    for b in range(rows):
                        operand = line(squashed, t, b, size)
                        copy(line(before, 0, b, size), operand)
                        activate(variant, operand)
                    before = from_step(squashed, t)
                multiply_step(rows, before, weight_hh, size, now, now, size)
                for b in range(rows):
                    h_after = line(now, 0, b, size)
                    if t >= lengths[first + b]:
                        clear(h_after)
                        continue
                    if not early:
                        activate(variant, h_after)
                    if t == lengths[first + b] - 1:
                        copy(h_after, line(ends, 0, b, size))


@kernel
def backward(
    variant, stages, inputs, previous, weights, h, memory, gates, grad_gates, origin, grad_output, grad_final,
    lengths, first, last, start, stop, block, keep,
    grad_inputs, grad_initial, grad_weight_ih, grad_weight_hh, grad_bias, workspace, zeros,
):  # fmt: skip
    batch, width = inputs.shape[1:]
    size, rows = previous.shape[2], last - first
    x = Rows(flat(inputs), first * width, batch * width, width)
    grad_x = Rows(flat(grad_inputs), x.start, x.step, x.row)
    before = Rows(flat(previous), first * size, batch * size, size)
    states = Rows(flat(h), first * size, batch * size, size)
    early = variant >= BEFORE_PRODUCT
    given = Rows(flat(grad_output), first * size, batch * size, size)
    ends = Rows(flat(grad_final), first * size, batch * size, size)
    carry = Rows(flat(grad_initial), first * size, batch * size, size)
    every_grad = Rows(flat(grad_gates), first * size, batch * size, size)
    if not grad_gates.size:
        every_grad = Rows(flat(workspace), 0, rows * size, size)
    nothing = Rows(flat(zeros), 0, 0, 0)
    weight_ih, weight_hh = flat(weights[0]), flat(weights[1])
    for end in range(stop, start, -block):
        begin = max(end - block, start)
        grads = from_step(every_grad, begin - origin if grad_gates.size else 0)
        if stages & STEP:
            for t in range(end - 1, begin - 1, -1):
                now = from_step(grads, t - begin)
                for b in range(rows):
                    grad_h = line(carry, 0, b, size)
                    if t >= lengths[first + b]:
                        clear(line(now, 0, b, size))
                        continue
                    if t == lengths[first + b] - 1:
                        copy(line(ends, 0, b, size), grad_h)
                    if grad_output.size:
                        add(line(given, t, b, size), grad_h)
                    grad_a = line(now, 0, b, size)
                    copy(grad_h, grad_a)
                    if not early:
                        activate_backward(variant, line(states, t + 1, b, size), grad_a)
                multiply_step(rows, now, weight_hh, size, nothing, carry, size)
                if early:
                    for b in range(rows):
                        activate_backward(variant, line(before, t, b, size), line(carry, 0, b, size))
        if stages & COLLECT:
            multiply(end - begin, rows, grads, weight_ih, size, nothing, from_step(grad_x, begin), width)
            add_outer(end - begin, rows, grads, size, from_step(x, begin), width, keep, flat(grad_weight_ih))
            add_outer(
                end - begin, rows, grads, size, from_step(before, begin), size, keep, flat(grad_weight_hh)
            )
            add_lines((end - begin) * rows, grads, keep, flat(grad_bias))
            keep = 1
