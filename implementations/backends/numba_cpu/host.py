"""What the compiled code needs to know of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core.registry import cpu_target

VECTORS = 2
"""Vectors in the width of a panel of weights, and of a tile."""


@dataclass(frozen=True)
class Host:
    """What the tiles need to know of this machine: bytes of a vector register, rows of the main tile."""

    vector_bytes: int
    tile_rows: int

    @classmethod
    def of(cls, triple: str, features: str) -> Host:
        """Read from LLVM's target triple and feature string ("+avx2,-avx512f,…")."""
        present = set(features.split(","))
        if "+avx512f" in present:
            return cls(64, 8)
        if "+avx2" in present or "+avx" in present:
            return cls(32, 4)
        return cls(16, 8 if triple.startswith(("aarch64", "arm64")) else 4)


_TRIPLE, _, _FEATURES = cpu_target.target_context.codegen().magic_tuple()
HOST = Host.of(_TRIPLE, _FEATURES)


def panel_width(dtype: Any) -> int:
    """Columns of a panel of weights in `dtype`."""
    return VECTORS * HOST.vector_bytes // np.dtype(dtype).itemsize
