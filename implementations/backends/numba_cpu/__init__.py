"""Backend `numba`: fused kernels, compiled on this machine for its own vector registers.

The samples of a batch do not know of each other, so the batch is split over threads once, and each
thread takes its samples through all steps without waiting for anybody.
"""

from implementations.contract import Backend
from implementations.registry import BACKENDS


@BACKENDS.register("numba")
def load() -> Backend:
    """Fused, threaded CPU kernels compiled by Numba: no Python in the time loop."""
    from implementations.backends.numba_cpu.adapter import NumbaBackend

    return NumbaBackend()
