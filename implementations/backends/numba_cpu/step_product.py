"""The product of the time loop by itself: the same panels, tiles and division among threads, and no cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from implementations.backends.numba_cpu.compiling import kernel
from implementations.backends.numba_cpu.passes import shares, split
from implementations.backends.numba_cpu.products import from_step, multiply_step, one_row, pack, rows_of
from implementations.backends.numba_cpu.threads import POOL
from implementations.backends.numba_cpu.views import flat
from implementations.contract import Array


@kernel
def take_steps(states, panels, zeros, products, first, last):
    """products[first:last] = states[t, first:last] · weights, for each t in turn."""
    size, columns, weights = states.shape[2], products.shape[2], flat(panels)
    every, results = rows_of(states, first), rows_of(products, first)
    for t in range(states.shape[0]):
        multiply_step(t, last - first, from_step(every, t), weights, size, one_row(zeros), results, columns)


def step_product(weight: Array, rows: int, steps: int, dtype: str, num_threads: int) -> Callable[[], None]:
    """See `Backend.step_product`; a batch of one is one thread's."""
    columns, size = weight.shape
    panels = pack(np.ascontiguousarray(weight.T, dtype))
    states = np.random.default_rng(0).standard_normal((steps, rows, size)).astype(dtype)
    zeros, products = np.zeros(columns, dtype), np.empty((1, rows, columns), dtype)
    count, staged = shares(num_threads, steps, rows, steps * rows * weight.size)
    spans = split(rows, 1 if staged else count)
    parts = [partial(take_steps, states, panels, zeros, products, *span) for span in spans]
    return partial(POOL.run, parts)
