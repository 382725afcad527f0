"""GRU, reset before the product: r, z = σ(…), n = tanh(W_in x + W_hn (r⊙h) + b), h' = (1−z)⊙n + z⊙h.

This is the textbook's GRU (Cho et al. 2014).  The product W_hn (r⊙h) waits for r, so a step has two
products, one after the other.  Kept for the backward: r, z and n of every step (`gates`).
"""

from __future__ import annotations

from implementations.backends.numba_cpu.activations import sigmoid, tanh
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
    from_column,
    from_step,
    line,
    multiply,
    multiply_step,
    pack,
)
from implementations.backends.numba_cpu.views import flat, span
from implementations.contract import Array

GATES = 3
GRADS = 4  # of r, z, n, and then r⊙h, which the gradient of W_hn needs


def pack_forward(parameters: dict[str, Array]) -> tuple[tuple[Array, ...], Array]:
    weight_hh = parameters["weight_hh"]
    size = weight_hh.shape[1]
    weights = (pack(parameters["weight_ih"].T), pack(weight_hh[: 2 * size].T), pack(weight_hh[2 * size :].T))
    return weights, parameters["bias_ih"] + parameters["bias_hh"]


def pack_backward(parameters: dict[str, Array]) -> tuple[Array, ...]:
    weight_hh = parameters["weight_hh"]
    size = weight_hh.shape[1]
    return pack(parameters["weight_ih"]), pack(weight_hh[: 2 * size]), pack(weight_hh[2 * size :])


def split_bias(grad: Array) -> tuple[Array, Array]:
    return grad, grad.copy()


@routine
def reset(gates, h_before, kept):
    """The pre-activations of r and z become gates, in place, and `kept` r⊙h; one sample."""
    size = h_before.size
    for j in range(2 * size):
        gates[j] = sigmoid(gates[j])
    for j in range(size):
        kept[j] = gates[j] * h_before[j]


@routine
def step(gates, h_before, h):
    """The pre-activation of n becomes n, in place; one sample."""
    size = h.size
    z = span(gates, size, size)
    n = span(gates, 2 * size, size)
    for j in range(size):
        n[j] = tanh(n[j])
    for j in range(size):
        h[j] = n[j] - z[j] * n[j] + z[j] * h_before[j]


@routine
def step_backward(gates, h_before, grad_h, grads):
    """dL/dh' becomes its direct part z⊙dL/dh', in place; `grads` those of z and n, and r⊙h; one sample."""
    size = grad_h.size
    r = span(gates, 0, size)
    z = span(gates, size, size)
    n = span(gates, 2 * size, size)
    grad_z = span(grads, size, size)
    grad_n = span(grads, 2 * size, size)
    kept = span(grads, 3 * size, size)
    for j in range(size):
        through = grad_h[j] - grad_h[j] * z[j]
        grad_n[j] = through - through * n[j] * n[j]
    for j in range(size):
        grad_z[j] = grad_h[j] * (h_before[j] - n[j]) * (z[j] - z[j] * z[j])
    for j in range(size):
        grad_h[j] *= z[j]
    for j in range(size):
        kept[j] = r[j] * h_before[j]


@routine
def reset_backward(gates, h_before, grad_kept, grad_h, grads):
    """dL/d(r⊙h) goes on to r, into `grads`, and to h; one sample."""
    for j in range(grad_h.size):
        grads[j] = grad_kept[j] * h_before[j] * (gates[j] - gates[j] * gates[j])
    for j in range(grad_h.size):
        grad_h[j] += grad_kept[j] * gates[j]


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
    every_gate = Rows(flat(gates), first * GATES * size, batch * GATES * size, GATES * size)
    if not gates.size:
        every_gate = Rows(flat(workspace), 0, rows * GATES * size, GATES * size)
    biases = Rows(flat(bias), 0, 0, 0)
    kept = Rows(flat(workspace), block * rows * GATES * size, 0, size)
    weight_ih, weight_rz, weight_n = flat(weights[0]), flat(weights[1]), flat(weights[2])
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        block_gates = from_step(every_gate, begin - origin if gates.size else 0)
        if stages & PROJECT:
            multiply(
                end - begin, rows, from_step(x, begin), weight_ih, width, biases, block_gates, GATES * size
            )
        if stages & STEP:
            for t in range(begin, end):
                now = from_step(block_gates, t - begin)
                multiply_step(rows, from_step(states, t), weight_rz, size, now, now, 2 * size)
                for b in range(rows):
                    reset(line(now, 0, b, GATES * size), line(states, t, b, size), line(kept, 0, b, size))
                n = from_column(now, 2 * size)
                multiply_step(rows, kept, weight_n, size, n, n, size)
                for b in range(rows):
                    h_after = line(states, t + 1, b, size)
                    if t >= lengths[first + b]:
                        clear(h_after)
                        continue
                    step(line(now, 0, b, GATES * size), line(states, t, b, size), h_after)
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
    every_gate = Rows(flat(gates), first * GATES * size, batch * GATES * size, GATES * size)
    given = Rows(flat(grad_output), first * size, batch * size, size)
    ends = Rows(flat(grad_final), first * size, batch * size, size)
    carry = Rows(flat(grad_initial), first * size, batch * size, size)
    every_grad = Rows(flat(grad_gates), first * GRADS * size, batch * GRADS * size, GRADS * size)
    if not grad_gates.size:
        every_grad = Rows(flat(workspace), 0, rows * GRADS * size, GRADS * size)
    grad_kept = Rows(flat(workspace), block * rows * GRADS * size, 0, size)
    nothing = Rows(flat(zeros), 0, 0, 0)
    weight_ih, weight_rz, weight_n = flat(weights[0]), flat(weights[1]), flat(weights[2])
    grad_weight_rz = span(grad_weight_hh, 0, 2 * size * size)
    grad_weight_n = span(grad_weight_hh, 2 * size * size, size * size)
    for end in range(stop, start, -block):
        begin = max(end - block, start)
        grads = from_step(every_grad, begin - origin if grad_gates.size else 0)
        if stages & STEP:
            for t in range(end - 1, begin - 1, -1):
                now = from_step(grads, t - begin)
                for b in range(rows):
                    grad_h = line(carry, 0, b, size)
                    if t >= lengths[first + b]:
                        clear(line(now, 0, b, GRADS * size))
                        continue
                    if t == lengths[first + b] - 1:
                        copy(line(ends, 0, b, size), grad_h)
                    if grad_output.size:
                        add(line(given, t, b, size), grad_h)
                    step_backward(
                        line(every_gate, t, b, GATES * size),
                        line(before, t, b, size),
                        grad_h,
                        line(now, 0, b, GRADS * size),
                    )
                multiply_step(rows, from_column(now, 2 * size), weight_n, size, nothing, grad_kept, size)
                for b in range(rows):
                    if t < lengths[first + b]:
                        reset_backward(
                            line(every_gate, t, b, GATES * size),
                            line(before, t, b, size),
                            line(grad_kept, 0, b, size),
                            line(carry, 0, b, size),
                            line(now, 0, b, GRADS * size),
                        )
                multiply_step(rows, now, weight_rz, 2 * size, carry, carry, size)
        if stages & COLLECT:
            multiply(
                end - begin, rows, grads, weight_ih, GATES * size, nothing, from_step(grad_x, begin), width
            )
            count, x_block, before_block = end - begin, from_step(x, begin), from_step(before, begin)
            grad_n, kept = from_column(grads, 2 * size), from_column(grads, 3 * size)
            add_outer(count, rows, grads, GATES * size, x_block, width, keep, flat(grad_weight_ih))
            add_outer(count, rows, grads, 2 * size, before_block, size, keep, grad_weight_rz)
            add_outer(count, rows, grad_n, size, kept, size, keep, grad_weight_n)
            add_lines((end - begin) * rows, grads, keep, flat(grad_bias))
            keep = 1
