"""How long a pass takes that clips on its way back through time.

A fused pass costs what its FLOP cost.  A layer of :mod:`harness.training.through_time` goes step by step, and
each step costs its calls, however small it is: so probes have the case's own widths, and grow in time alone.
"""

from __future__ import annotations

from dataclasses import replace

from harness.clipping import Clipping
from harness.measure.estimate import extrapolated_seconds
from harness.measure.problem import Prepared, Problem
from harness.measure.work import Sizes
from harness.training.through_time import bind_clipped
from implementations.contract import Backend

FIRST_STEPS = 8
"""Of the smallest probe, so that what disturbs a step of it is not taken for a cost that all probes share;
with "truncated" at least as many as a gradient goes back."""


def clipped_seconds(
    backend: Backend, cell: str, sizes: Sizes, clipping: Clipping, *, read: int, limit_seconds: float
) -> float:
    """Seconds of one pass in float32, forward and backward, extrapolated by its steps.

    Args:
        clipping: at the state or the gates.
        read: how many of the last outputs the loss reads; with "truncated" each goes back by itself.
    """

    def prepared_at(probe: Sizes) -> Prepared:
        problem = Problem.draw(cell, "float32", probe)
        problem.grad_output[: -max(1, round(read / sizes.seq_len * probe.seq_len))] = 0.0
        layer = bind_clipped(backend, cell, problem.parameters, "float32", clipping)
        return replace(problem.on(backend), layer=layer)

    return extrapolated_seconds(
        backend,
        prepared_at,
        lambda probe: float(probe.seq_len),
        sizes,
        training=True,
        limit_seconds=limit_seconds,
        first=replace(sizes, seq_len=min(max(FIRST_STEPS, clipping.steps or 1), sizes.seq_len)),
    )
