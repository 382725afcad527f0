"""What this machine cannot do for a training, said before it is tried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.training.job import Settings

FLOATS_PER_WEIGHT = 14
"""Of four bytes, while a step is taken: the weight, the layer's own, its gradient, that in float64 before and
after clipping, what comes of it, Adam's two moments, and the last good state of all three twice."""
SMALLER = "choose smaller sizes"


def require_threads(threads: int) -> None:
    """Refuse more threads than this process has cores.

    Raises:
        UserError: it has fewer.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads > allowed:
        raise UserError(
            "--threads: more than this process has cores", expected=f"at most {allowed}", got=str(threads)
        )


def require_memory(settings: Settings) -> None:
    """Refuse a training that does not fit into the memory that is free.

    Raises:
        UserError: its estimate is above that.
    """
    from harness.measure.estimate import why_too_large
    from harness.measure.work import Work

    if (reason := why_too_large(Work(0.0, needed_bytes(settings)))) is not None:
        raise UserError(f"this training is too large for this machine: it {reason}", remedy=SMALLER)


def needed_bytes(settings: Settings) -> float:
    """An estimate: all copies of the weights, and a step's pass or what is held out, the larger."""
    from harness.measure.work import Sizes, work
    from harness.training.evaluate import HELD_OUT_BATCH
    from harness.training.job import EMBEDDING_WIDTH, HELD_OUT_CHARACTERS, HELD_OUT_STREAMS, TEXT
    from harness.training.tasks import TASKS
    from implementations.registry import CELLS

    if settings.cell not in CELLS or (settings.task != TEXT and settings.task not in TASKS):
        return 0.0  # refused by name
    is_text = settings.task == TEXT
    width = EMBEDDING_WIDTH if is_text else TASKS[settings.task].input_size
    streams, length = HELD_OUT_STREAMS, HELD_OUT_CHARACTERS // HELD_OUT_STREAMS
    held_out = (length, streams) if is_text else (settings.seq_len, HELD_OUT_BATCH)
    above = settings.layers - 1

    def passed(seq_len: int, batch_size: int, *, training: bool) -> float:
        hidden = settings.hidden_size
        sizes = [Sizes(seq_len, batch_size, i, hidden) for i in (width, hidden)]
        first, other = (work(settings.cell, "float32", each, training=training).peak_bytes for each in sizes)
        return first + above * other if training else max(first, other if above else 0.0)

    weights = passed(0, 0, training=True) / 4  # what `work` holds of them is the weights four times
    return FLOATS_PER_WEIGHT * weights + max(
        passed(settings.seq_len, settings.batch_size, training=True), passed(*held_out, training=False)
    )


@contextmanager
def out_of_memory_is_one_line() -> Iterator[None]:
    """What was estimated too low ends as what was estimated right.

    Raises:
        UserError: memory ran out within.
    """
    try:
        yield
    except MemoryError as error:
        raise UserError(f"out of memory: {error or 'the system gives no more'}", remedy=SMALLER) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # torch's own words
            raise
        raise UserError("out of memory: torch was given no more", remedy=SMALLER) from error
