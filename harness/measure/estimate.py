"""How long a case will take, before it is started: ever larger fractions of it are run until one tells.

A small problem flatters nobody: fixed costs make a fast backend look slow on it.  So the probe grows until
it is the case itself, or its estimate is below the limit, or it has used a fair share of the limit.  What
disturbs a probe only makes it longer: before a case is refused, it is taken again, and the best counts.  Nor
is a case refused by an estimate that the two probes before do not bear out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import psutil

from harness.measure.problem import Prepared, Problem
from harness.measure.work import Sizes, Work, flop, work
from implementations.contract import Backend

SHARE_OF_LIMIT = 0.02
"""A probe that took this share of the limit is large enough to extrapolate from,"""
TELLING_SECONDS = 5e-3
"""where it took as long as this, too: below it a call's fixed cost changes by more than the work differs, and
a larger probe costs next to nothing."""
AGREEMENT = 4.0
"""Estimates within this factor of the one before bear it out; a disturbance, taken times the whole case's
size, is off by hundreds."""
PROBES = 6
"""So many at the most before a case is refused, and after the second no longer than the limit for all of
them, or"""
PATIENCE_SECONDS = 1.0
"""this long where the limit is shorter, as that of one of a training's many calls is."""


def why_not_started(
    backend: Backend,
    cell: str,
    dtype: str,
    sizes: Sizes,
    *,
    training: bool,
    calls: int,
    max_seconds: float,
) -> str | None:
    """Why this backend should not start this pass here, or None: it lacks it, it is too large, or
    `calls` of it would take more than `max_seconds`."""
    if reason := why_not_here(backend, cell, dtype, sizes, training=training):
        return reason
    seconds = estimate_seconds(
        backend, cell, dtype, sizes, training=training, limit_seconds=max_seconds / calls
    )
    return why_too_long(calls * seconds, max_seconds)


def why_not_here(backend: Backend, cell: str, dtype: str, sizes: Sizes, *, training: bool) -> str | None:
    """Why this backend cannot do this pass on this machine, however long it took, or None where it can."""
    reason = backend.why_unsupported(cell, dtype, training=training, **vars(sizes))
    return reason or why_too_large(work(cell, dtype, sizes, training=training))


def why_too_long(seconds: float, max_seconds: float) -> str | None:
    """The reason why a case of this estimate is not started, or None where it is."""
    if seconds <= max_seconds:
        return None
    return f"would take about {seconds:.0f} s, the plan allows max_seconds = {max_seconds:g}"


def estimate_seconds(
    backend: Backend, cell: str, dtype: str, sizes: Sizes, *, training: bool, limit_seconds: float
) -> float:
    """Seconds of one pass, extrapolated by FLOP from the two largest probes that were run: what they share, a
    call's fixed cost, grows with nothing."""
    return extrapolated_seconds(
        backend,
        lambda probe: Problem.draw(cell, dtype, probe).on(backend),
        lambda probe: flop(cell, probe, training=training),
        sizes,
        training=training,
        limit_seconds=limit_seconds,
    )


def extrapolated_seconds(
    backend: Backend,
    prepared_at: Callable[[Sizes], Prepared],
    flop_at: Callable[[Sizes], float],
    sizes: Sizes,
    *,
    training: bool,
    limit_seconds: float,
    first: Sizes | None = None,
) -> float:
    """The same of any work that can be made ready at some sizes, and whose FLOP there are known.

    Args:
        flop_at: FLOP, or whatever the time goes in proportion to.
        first: the smallest probe; None for one step of a small layer.
    """
    whole = flop_at(sizes)
    smaller: tuple[float, float] | None = None
    before, agreeing = math.inf, 0
    patience = max(limit_seconds, PATIENCE_SECONDS)
    probe = first or Sizes(1, 1, min(8, sizes.input_size), min(8, sizes.hidden_size))
    while True:
        prepared = prepared_at(probe)
        done = flop_at(probe)
        prepared.run(training=training)
        seconds = _seconds(backend, prepared, training=training)
        known = smaller is not None and smaller[0] < seconds  # else the smaller one was disturbed
        large = known and seconds >= max(SHARE_OF_LIMIT * limit_seconds, TELLING_SECONDS)
        near = 1 / AGREEMENT <= _whole(seconds, done, whole, smaller) / before <= AGREEMENT
        agreeing = agreeing + 1 if near else 0
        last = probe == sizes or (large and (agreeing > 1 or seconds > patience))
        spent = seconds
        for number in range(1, PROBES):
            enough = number > 1 and spent > patience
            if not last or _whole(seconds, done, whole, smaller) <= limit_seconds or enough:
                break
            again = _seconds(backend, prepared, training=training)
            seconds, spent = min(seconds, again), spent + again
        estimate = _whole(seconds, done, whole, smaller)
        if last or estimate <= limit_seconds:
            return estimate
        probe, smaller, before = _grown(probe, sizes), (seconds, done), estimate


def _whole(seconds: float, done: float, whole: float, smaller: tuple[float, float] | None) -> float:
    """Seconds of `whole` FLOP where `done` took `seconds`; `smaller`: the same of a smaller probe."""
    if smaller is None or smaller[0] >= seconds or smaller[1] >= done:
        return seconds * whole / done
    return seconds + (seconds - smaller[0]) / (done - smaller[1]) * (whole - done)


def _seconds(backend: Backend, prepared: Prepared, *, training: bool) -> float:
    backend.synchronize()
    start = time.perf_counter()
    prepared.run(training=training)
    backend.synchronize()
    return time.perf_counter() - start


def _grown(probe: Sizes, sizes: Sizes) -> Sizes:
    """About eight times the FLOP, towards the case: the layer first, then the batch, then the time."""
    if probe.hidden_size < sizes.hidden_size or probe.input_size < sizes.input_size:
        return replace(
            probe,
            hidden_size=min(3 * probe.hidden_size, sizes.hidden_size),
            input_size=min(3 * probe.input_size, sizes.input_size),
        )
    if probe.batch_size < sizes.batch_size:
        return replace(probe, batch_size=min(8 * probe.batch_size, sizes.batch_size))
    return replace(probe, seq_len=min(8 * probe.seq_len, sizes.seq_len))


def why_too_large(work: Work) -> str | None:
    """The reason why a case does not fit into this machine's free memory, or None where it does."""
    available = psutil.virtual_memory().available
    if work.peak_bytes <= 0.8 * available:
        return None
    return f"needs about {work.peak_bytes / 2**30:.1f} GiB; {available / 2**30:.1f} GiB of memory are free"
