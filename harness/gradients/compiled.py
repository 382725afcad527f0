"""How the engine's kernels are compiled and kept.  Imports Numba: only `kernels` imports what imports this.

Kernels release the GIL and divide as hardware does.  A multiply may be fused with an add, and sums may be
taken in another order; what would assume away a NaN or an inf is not allowed.

Compiled code is kept on disk, and is valid as long as the file of the kernel is as it was: whatever a kernel
calls stands in its own file.  Where no folder can be written, it is compiled anew in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
from numba.core import caching

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}


class _Kept(caching.FunctionCache):
    """Numba's cache; that code cannot be written or read is no error."""

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(Exception):  # absent or spoilt in any way: it is compiled anew
            return super().load_overload(sig, target_context)
        return None


def kernel(function: Callable[..., Any]) -> Any:
    """What is called from Python: compiled at its first call, and kept on disk."""
    dispatcher = numba.njit(**OPTIONS)(function)
    with suppress(RuntimeError, OSError):
        dispatcher._cache = _Kept(function)
    return dispatcher


def routine(function: Callable[..., Any]) -> Any:
    """What kernels call."""
    return numba.njit(**OPTIONS)(function)
