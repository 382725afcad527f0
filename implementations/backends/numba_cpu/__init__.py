"""Backends `numba` and `numba_checkpointed`: fused kernels, compiled for this machine's vector registers.

The samples of a batch do not know of each other, so the batch is split over threads once, and each
thread takes its samples through all steps without waiting for anybody.
"""

from collections.abc import Iterable

from implementations.contract import Backend
from implementations.hints import Hint, Pass, hinted
from implementations.registry import BACKENDS


def missing(passes: Iterable[Pass]) -> int:
    """How many kernels of these passes are not on disk."""
    from implementations.backends.numba_cpu.shelf import missing_kernels

    return missing_kernels(passes)


HINT = Hint("numba", loading=7.0, step_calls=1.0, compiling=27.0, missing=missing)


@BACKENDS.register("numba")
@hinted(HINT)
def load_plain() -> Backend:
    """Fused, threaded CPU kernels compiled by Numba: no Python in the time loop."""
    from implementations.backends.numba_cpu.adapter import NumbaBackend

    return NumbaBackend()


@BACKENDS.register("numba_checkpointed")
@hinted(HINT)
def load_checkpointed() -> Backend:
    """The kernels of `numba`; in training, gates computed twice rather than kept."""
    from implementations.backends.numba_cpu.adapter import CheckpointedNumbaBackend

    return CheckpointedNumbaBackend()
