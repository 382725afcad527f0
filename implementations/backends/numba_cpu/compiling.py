"""How every kernel is compiled, and how compiled code is kept on disk.

Kernels release the GIL, divide as hardware does, and may fuse a multiply with an add; no other
fast-math flag is given, since all others assume away a NaN, an inf, a sign or an order of summation.

Numba's own cache asks only whether the file of the outermost function changed; a kernel here is built
from several files, so its cached code is valid as long as *all* files of this package are as they were.
"""

from __future__ import annotations

import hashlib
import pickle
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from implementations.backends.numba_cpu.host import HOST
from implementations.backends.numba_cpu.tally import tally

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@cache
def source_stamp() -> str:
    """A digest of this package's sources, of the width of its vectors and of Numba's version."""
    digest = hashlib.sha256(f"{HOST} {numba.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class CodeFile:
    """One file per compiled signature, named after all that it depends on.

    There is no index to be rewritten, so processes that compile at the same time cannot mix up entries.
    Files of earlier sources are removed when a newer one is saved.
    """

    def __init__(self, cache_path: str, filename_base: str, source_stamp: str) -> None:
        self._folder = Path(cache_path)
        self._base = filename_base
        self._stamp = source_stamp[:16]

    def _path(self, key: Any) -> Path:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._folder / f"{self._base}.{self._stamp}.{digest}.nbc"

    def load(self, key: Any) -> Any | None:
        try:
            return pickle.loads(self._path(key).read_bytes())
        except Exception:  # absent or spoilt in any way: it is compiled anew
            return None

    def save(self, key: Any, data: Any) -> None:
        path = self._path(key)
        for old in self._folder.glob(f"{self._base}.*.nbc"):
            if not old.name.startswith(f"{self._base}.{self._stamp}."):
                old.unlink(missing_ok=True)
        partial = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        partial.write_bytes(caching.dumps(data))
        partial.replace(path)

    def flush(self) -> None:
        for path in self._folder.glob(f"{self._base}.*.nbc"):
            path.unlink(missing_ok=True)


class _Stamp:
    """A cache locator's stamp, over the whole package."""

    def get_source_stamp(self) -> str:
        return source_stamp()


class _Named(_Stamp, caching.UserProvidedCacheLocator):
    """NUMBA_CACHE_DIR, where it is set."""


class _Beside(_Stamp, caching.InTreeCacheLocator):
    """__pycache__ beside the sources."""


class _Personal(_Stamp, caching.UserWideCacheLocator):
    """The user's own cache folder."""


class _Placement(caching.CompileResultCacheImpl):
    _locator_classes = [_Named, _Beside, _Personal]


class KernelCache(caching.FunctionCache):
    """Numba's cache with this package's stamp and files; a folder that cannot be written is no error."""

    _impl_class = _Placement

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = CodeFile(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        started = time.perf_counter()
        code = super().load_overload(sig, target_context)
        tally().looked_up(time.perf_counter() - started, found=code is not None)
        return code

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def kernel(function: Callable) -> Any:
    """What is called from Python: compiled at its first call, once per dtype, and kept on disk.

    Where no folder can be written, it is compiled anew in every process.
    """
    dispatcher = numba.njit(**OPTIONS)(function)
    with suppress(RuntimeError):
        dispatcher._cache = KernelCache(function)
    return dispatcher


def routine(function: Callable) -> Any:
    """What kernels call."""
    return numba.njit(**OPTIONS)(function)


def inlined(function: Callable) -> Any:
    """What must vanish into the loop that calls it."""
    return numba.njit(forceinline=True, **OPTIONS)(function)


def cache_folder() -> str | None:
    """Where compiled code is kept, or None where it cannot be."""
    with suppress(RuntimeError):
        return str(KernelCache(cache_folder).cache_path)
    return None
