"""The machine's own rates: matrix products and copies by the library that an array belongs to.

Whatever backend gives the arrays, NumPy's or torch's functions work on them, so that a device with memory of
its own is measured by the same code.  A product is done in every way that an implementation could use, and
all are recorded: `whole` leaves the threads to the library; `split` gives each thread a part of the rows
and lets nobody wait within the sequence, which can be faster where the products are small or where the cores
are not all free.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness.measure.roofline import Shape
from harness.measure.timing import Sample, time_calls
from implementations.contract import Backend

MAXIMUM_STEPS = 16
"""Recurrent products in one call: enough to hide the call, few enough to stay in the cache."""
FLOP_OF_A_CALL = 1e9
"""A call with so much work needs no further product to hide it."""
COPY_OF_CACHE = 4
"""A copied array is this many times the last-level cache."""
FALLBACK_CACHE_BYTES = 32 * 2**20
DEVICE_COPY_BYTES = 2**30


class NoKernel(RuntimeError):
    """This backend's arrays have no matrix product or copy that could be timed; the message says why."""


@dataclass(frozen=True)
class Timed:
    """The samples of one way to do the same work."""

    method: str
    samples: list[Sample]


def time_products(
    backend: Backend, dtype: str, shape: Shape, *, steps: int, num_threads: int, budget_seconds: float
) -> list[Timed]:
    """`steps` products of `shape`, one after the other, with the same right-hand side.

    Args:
        num_threads: how many threads share the rows.
        budget_seconds: for each way to do it.

    Raises:
        NoKernel: no product of this backend's arrays is known.
    """
    rng = np.random.default_rng(0)
    left = _native(backend, rng.standard_normal((steps, shape.rows, shape.inner)), dtype)
    right = _native(backend, rng.standard_normal((shape.inner, shape.columns)), dtype)
    library = _library(left)
    out = _native(backend, np.zeros((steps, shape.rows, shape.columns)), dtype)
    timed = []
    with _precision(library, dtype):
        timed.append(
            Timed("whole", time_calls(_whole(left, right, out), backend.synchronize, budget_seconds))
        )
    if library is np and 1 < num_threads <= shape.rows:
        with _split(num_threads, shape.rows) as each, _one_blas_thread():

            def products() -> None:
                each(lambda part: np.matmul(left[:, part], right, out=out[:, part]))

            timed.append(Timed("split", time_calls(products, backend.synchronize, budget_seconds)))
    return timed


def time_own_products(
    backend: Backend, dtype: str, shape: Shape, *, steps: int, budget_seconds: float
) -> list[Timed]:
    """The same by the product in the backend's own time loop, with the threads that the backend has.

    Raises:
        NoKernel: the backend has no product of its own.
    """
    weight = np.random.default_rng(0).standard_normal((shape.columns, shape.inner))
    products = backend.step_product(weight, shape.rows, steps, dtype)
    if products is None:
        raise NoKernel(f"{backend.name} multiplies by a library's product, not by one of its own")
    return [Timed("own", time_calls(products, backend.synchronize, budget_seconds))]


def time_copies(backend: Backend, *, num_threads: int, budget_seconds: float) -> tuple[list[Timed], int, int]:
    """Copies of an array that no cache holds: the samples, the bytes moved by one (read and written), and
    the bytes of the last-level cache.

    Raises:
        NoKernel: this backend's arrays cannot be copied in place.
    """
    probe = _native(backend, np.zeros(1), "float32")
    library, cache = _library(probe), _cache_bytes(probe)
    count = _copied_bytes(probe, cache) // 4
    source, target = (_native(backend, np.full(count, value, "float32"), "float32") for value in (1, 0))

    def copy(part: slice = slice(None)) -> None:
        target[part] = source[part]

    timed = [Timed("whole", time_calls(copy, backend.synchronize, budget_seconds))]
    if library is np and num_threads > 1:
        with _split(num_threads, count) as each:
            timed.append(Timed("split", time_calls(lambda: each(copy), backend.synchronize, budget_seconds)))
    return timed, 2 * 4 * count, cache


def recurrent_steps(shape: Shape, maximum: int = MAXIMUM_STEPS) -> int:
    """How many products make one timed call."""
    return int(min(maximum, max(1.0, FLOP_OF_A_CALL / shape.flop)))


def cpu_cache_bytes() -> int:
    """The last-level cache of the first core, or 32 MiB where the system does not say."""
    found = [FALLBACK_CACHE_BYTES]
    sizes = {"K": 2**10, "M": 2**20, "G": 2**30}
    listed = [p.read_text().strip() for p in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    known = [int(text[:-1]) * sizes[text[-1]] for text in listed if text[-1:] in sizes]
    return max(known or found)


def _whole(left: Any, right: Any, out: Any) -> Callable[[], object]:
    """NumPy takes a stack of products in order; torch would make one large product of it."""
    library = _library(left)
    if library is np:
        return lambda: np.matmul(left, right, out=out)

    def one_by_one() -> None:
        for step in range(len(left)):
            library.matmul(left[step], right, out=out[step])

    return one_by_one


def _native(backend: Backend, array: Any, dtype: str) -> Any:
    """In the backend's form; float32 is what the narrower formats cross the border in."""
    border = "float64" if dtype == "float64" else "float32"
    return backend.to_native(array.astype(border, copy=False), dtype)


def _library(native: Any) -> Any:
    """The module whose `matmul` takes this array and writes into another."""
    name = type(native).__module__.partition(".")[0]
    if name not in ("numpy", "torch"):
        raise NoKernel(f"no matrix product that writes into a given array is known for {name} arrays")
    return sys.modules[name]


@contextmanager
def _precision(library: Any, dtype: str) -> Iterator[None]:
    """TF32 is a way to multiply, not a way to store: torch has to be told."""
    if dtype != "tf32" or not hasattr(library, "set_float32_matmul_precision"):
        yield
        return
    before = library.get_float32_matmul_precision()
    library.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        library.set_float32_matmul_precision(before)


@contextmanager
def _split(num_threads: int, length: int) -> Iterator[Callable[[Callable[[slice], object]], None]]:
    """A function that calls another on each thread's share of range(length) and waits for all."""
    edges = [length * i // num_threads for i in range(num_threads + 1)]
    parts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(num_threads - 1))

        def each(call: Callable[[slice], object]) -> None:
            others = [pool.submit(call, part) for part in parts[1:]]
            call(parts[0])
            for other in others:
                other.result()

        yield each


def _one_blas_thread() -> AbstractContextManager[Any]:
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _cache_bytes(native: Any) -> int:
    if not getattr(native, "is_cuda", False):
        return cpu_cache_bytes()
    properties = _library(native).cuda.get_device_properties(native.device)
    return int(properties.L2_cache_size)


def _copied_bytes(native: Any, cache: int) -> int:
    """Bytes of one of the two arrays: several caches, but no more than a tenth of the free memory."""
    wanted = DEVICE_COPY_BYTES if getattr(native, "is_cuda", False) else COPY_OF_CACHE * cache
    return min(wanted, psutil.virtual_memory().available // 10)
