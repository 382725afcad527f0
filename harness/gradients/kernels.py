"""Which of the engine's compiled kernels are used: none that was not asked for and would not pay.

Loading Numba and a kernel from disk takes about as long as ten thousand small norms, compiling it the first
time on a machine some seconds.  So a decay of few matrices uses them only where they are there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

WORTH_LOADING = 20_000
"""Matrices of one decay from which on the kernels are loaded for it."""

_loaded: dict[str, Any] = {}


def load_kernels() -> None:
    """Compile the engine's kernels, or load them from disk, for all decays in float64 of this process that
    follow.

    Worth its second where many networks are analysed in one process, none of them large.  What is computed
    then differs by other roundings, within the same 1e-10.
    """
    if _loaded:
        return
    from harness.gradients.compiled_lanczos import lanczos
    from harness.gradients.compiled_steps import combined, gather, spread

    matrix, vector = np.diag(np.arange(1.0, 9.0))[None], np.ones((1, 8))
    lanczos(matrix, True, np.array([36.0]), vector + 0.0, 6, 1e-10, 1e-12)
    spread(matrix, matrix, vector, vector, matrix + 0.0, matrix + 0.0)
    gather(matrix + 0.0, matrix, matrix + 0.0, vector)
    combined(matrix, matrix, matrix, np.ones((8, 3, 8)), np.ones((1, 8, 8, 8)))
    found = {"lanczos": lanczos, "spread": spread, "gather": gather, "combined": combined}
    _loaded.update(found)


def load_where_worth_it(matrices: int) -> None:
    """Load them where a decay has so many matrices that they pay."""
    if matrices >= WORTH_LOADING:
        load_kernels()


def loaded_kernels() -> Mapping[str, Any]:
    """By name; empty where they are not loaded."""
    return _loaded
