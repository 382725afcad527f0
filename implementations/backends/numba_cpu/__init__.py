"""Backends `numba` and `numba_checkpointed`: fused kernels, compiled for this machine's vector registers.

The samples of a batch do not know of each other, so the batch is split over threads once, and each
thread takes its samples through all steps without waiting for anybody.
"""

from implementations.contract import Backend
from implementations.registry import BACKENDS


@BACKENDS.register("numba")
def load_plain() -> Backend:
    """Fused, threaded CPU kernels compiled by Numba: no Python in the time loop."""
    from implementations.backends.numba_cpu.adapter import NumbaBackend

    return NumbaBackend()


@BACKENDS.register("numba_checkpointed")
def load_checkpointed() -> Backend:
    """The kernels of `numba`; in training, gates computed twice rather than kept."""
    from implementations.backends.numba_cpu.adapter import CheckpointedNumbaBackend

    return CheckpointedNumbaBackend()
