"""One step of one sample of any variant of the LSTM, and back: each part of the cell is a switch.

`variant` is a sum of the bits below.  They are asked once per row of H elements, never per element, so one
compiled kernel serves every variant (Greff et al. 2017).
"""

from __future__ import annotations

from implementations.backends.numba_cpu.activations import sigmoid, tanh
from implementations.backends.numba_cpu.compiling import routine
from implementations.backends.numba_cpu.products import add, copy
from implementations.backends.numba_cpu.views import span
from implementations.cells.lstm_variants import Parts

INPUT_GATE, FORGET_GATE, OUTPUT_GATE, COUPLED = 1, 2, 4, 8
INPUT_ACTIVATION, OUTPUT_ACTIVATION, PEEPHOLES, RECURRENCE = 16, 32, 64, 128


def variant_of(parts: Parts) -> int:
    """The sum of the bits of what a cell has."""
    has = {
        INPUT_GATE: parts.input_gate,
        FORGET_GATE: parts.forget_gate and not parts.coupled,
        OUTPUT_GATE: parts.output_gate,
        COUPLED: parts.coupled,
        INPUT_ACTIVATION: parts.input_activation,
        OUTPUT_ACTIVATION: parts.output_activation,
        PEEPHOLES: parts.peepholes,
        RECURRENCE: parts.recurrence,
    }
    return sum(bit for bit, there in has.items() if there)


@routine
def places(variant, size):
    """Where i, f, g and o begin in a row of gates, and its length; what is absent begins anywhere."""
    f = size if variant & INPUT_GATE else 0
    g = f + size if variant & FORGET_GATE else f
    o = g + size
    return 0, f, g, o if variant & OUTPUT_GATE else 0, o + size if variant & OUTPUT_GATE else o


@routine
def multiply_into(factor, source, target):
    for j in range(target.size):
        target[j] += factor[j] * source[j]


@routine
def squash(values):
    for j in range(values.size):
        values[j] = sigmoid(values[j])


@routine
def advance(variant, peepholes, gates, c):
    """Pre-activations become gates and c becomes c', in place; one sample."""
    size = c.size
    at_i, at_f, at_g, at_o, _ = places(variant, size)
    i, f = span(gates, at_i, size), span(gates, at_f, size)
    g, o = span(gates, at_g, size), span(gates, at_o, size)
    if variant & PEEPHOLES:
        multiply_into(span(peepholes, 0, size), c, i)
        multiply_into(span(peepholes, size, size), c, f)
    if variant & INPUT_GATE:
        squash(i)
    if variant & FORGET_GATE:
        squash(f)
    if variant & INPUT_ACTIVATION:
        for j in range(size):
            g[j] = tanh(g[j])
    if variant & FORGET_GATE:
        for j in range(size):
            c[j] *= f[j]
    elif variant & COUPLED:
        for j in range(size):
            c[j] -= i[j] * c[j]
    if variant & INPUT_GATE:
        multiply_into(i, g, c)
    else:
        add(g, c)
    if variant & PEEPHOLES:
        multiply_into(span(peepholes, 2 * size, size), c, o)
    if variant & OUTPUT_GATE:
        squash(o)


@routine
def show(variant, gates, c, h):
    """h' of c' and o; one sample."""
    size = h.size
    o = span(gates, places(variant, size)[3], size)
    if variant & OUTPUT_ACTIVATION:
        for j in range(size):
            h[j] = tanh(c[j])
    else:
        copy(c, h)
    if variant & OUTPUT_GATE:
        for j in range(size):
            h[j] *= o[j]


@routine
def show_backward(variant, gates, c, grad_h, grad_c, grads):
    """Adds to dL/dc' what comes through h', and writes dL/d(pre-activation of o); one sample."""
    size = c.size
    at_o = places(variant, size)[3]
    o, grad_o = span(gates, at_o, size), span(grads, at_o, size)
    if variant & OUTPUT_ACTIVATION and variant & OUTPUT_GATE:
        for j in range(size):
            squashed = tanh(c[j])
            through = grad_h[j] * o[j]
            grad_c[j] += through - through * squashed * squashed
            grad_o[j] = grad_h[j] * squashed * (o[j] - o[j] * o[j])
    elif variant & OUTPUT_ACTIVATION:
        for j in range(size):
            squashed = tanh(c[j])
            grad_c[j] += grad_h[j] - grad_h[j] * squashed * squashed
    elif variant & OUTPUT_GATE:
        for j in range(size):
            grad_c[j] += grad_h[j] * o[j]
            grad_o[j] = grad_h[j] * c[j] * (o[j] - o[j] * o[j])
    else:
        add(grad_h, grad_c)


@routine
def add_slope(arriving, gate, grad):
    """Adds what a gradient that arrives at a logistic gate is at its pre-activation."""
    for j in range(grad.size):
        grad[j] += arriving[j] * (gate[j] - gate[j] * gate[j])


@routine
def step_backward(variant, peepholes, gates, c_before, c, grad_h, grad_c, read_i, read_f, read_o, grads):
    """dL/dc' becomes dL/dc, in place, and `grads` dL/d(pre-activations); one sample.

    read_i, read_f, read_o: what comes from the next step's gates, where these read i, f and o.
    """
    size = c.size
    at_i, at_f, at_g, at_o, _ = places(variant, size)
    i, f = span(gates, at_i, size), span(gates, at_f, size)
    g, o = span(gates, at_g, size), span(gates, at_o, size)
    grad_i, grad_f = span(grads, at_i, size), span(grads, at_f, size)
    grad_g, grad_o = span(grads, at_g, size), span(grads, at_o, size)
    show_backward(variant, gates, c, grad_h, grad_c, grads)
    if variant & RECURRENCE:
        add_slope(read_o, o, grad_o)
    if variant & PEEPHOLES:
        multiply_into(span(peepholes, 2 * size, size), grad_o, grad_c)
    if variant & INPUT_GATE and variant & COUPLED:
        for j in range(size):
            grad_i[j] = grad_c[j] * (g[j] - c_before[j]) * (i[j] - i[j] * i[j])
    elif variant & INPUT_GATE:
        for j in range(size):
            grad_i[j] = grad_c[j] * g[j] * (i[j] - i[j] * i[j])
    if variant & FORGET_GATE:
        for j in range(size):
            grad_f[j] = grad_c[j] * c_before[j] * (f[j] - f[j] * f[j])
    if variant & RECURRENCE:
        add_slope(read_i, i, grad_i)
        add_slope(read_f, f, grad_f)
    copy(grad_c, grad_g)
    if variant & INPUT_GATE:
        for j in range(size):
            grad_g[j] *= i[j]
    if variant & INPUT_ACTIVATION:
        for j in range(size):
            grad_g[j] -= grad_g[j] * g[j] * g[j]
    if variant & FORGET_GATE:
        for j in range(size):
            grad_c[j] *= f[j]
    elif variant & COUPLED:
        for j in range(size):
            grad_c[j] -= grad_c[j] * i[j]
    if variant & PEEPHOLES:
        multiply_into(span(peepholes, 0, size), grad_i, grad_c)
        multiply_into(span(peepholes, size, size), grad_f, grad_c)
