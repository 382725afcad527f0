"""Which kernels are compiled and on disk, told without compiling or loading any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from implementations.backends.numba_cpu.compiling import KernelCache, source_stamp
from implementations.backends.numba_cpu.kernels import KERNELS


def missing_kernels(passes: Iterable[tuple[str, str, bool]]) -> int:
    """How many kernels have to be compiled for these passes (cell, dtype, training), one per dtype.

    Cells that share a module share its kernels.
    """
    needed = {
        (KERNELS[cell].module, direction, dtype)
        for cell, dtype, training in passes
        if cell in KERNELS
        for direction in (("forward", "backward") if training else ("forward",))
    }
    wanted = Counter((module, direction) for module, direction, _ in needed)
    return sum(
        max(0, number - _on_disk(getattr(module, direction)))
        for (module, direction), number in wanted.items()
    )


def _on_disk(dispatcher: object) -> int:
    """How many signatures of one kernel were compiled from the sources as they are."""
    cache = getattr(dispatcher, "_cache", None)
    if not isinstance(cache, KernelCache):
        return 0
    pattern = f"{cache._impl.filename_base}.{source_stamp()[:16]}.*.nbc"
    return len(list(Path(cache.cache_path).glob(pattern)))
