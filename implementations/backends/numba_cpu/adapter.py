"""The backends `numba` and `numba_checkpointed`: what they can do, and with how many threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import llvmlite.binding
import numba
import numpy as np

from implementations.backends.numba_cpu import compiling
from implementations.backends.numba_cpu.host import HOST
from implementations.backends.numba_cpu.kernels import KERNELS
from implementations.backends.numba_cpu.layer import NumbaLayer
from implementations.backends.numba_cpu.step_product import step_product
from implementations.backends.numba_cpu.tally import tally
from implementations.backends.numba_cpu.threads import usable_cores
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Compilation, Parameters
from implementations.registry import CELLS


class NumbaBackend(Backend):
    """Kernels of its own throughout: no BLAS, no OpenMP, so the threads set here are all there are.

    More threads than cores are taken at their word (they share the cores); a batch of B samples never
    occupies more than B of them.
    """

    name: ClassVar[str] = "numba"
    namespace: ClassVar[Any] = np
    checkpointed: ClassVar[bool] = False
    """Whether a training pass computes its gates twice rather than keep them."""
    code_folders: ClassVar[tuple[str, ...]] = ("NUMBA_CACHE_DIR",)

    def __init__(self) -> None:
        self._num_threads = usable_cores()
        tally()

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> NumbaLayer:
        return NumbaLayer(self, cell, parameters, dtype)

    def why_unsupported(
        self,
        cell: str,
        dtype: str,
        *,
        training: bool = False,
        seq_len: int | None = None,
        batch_size: int | None = None,
        input_size: int | None = None,
        hidden_size: int | None = None,
    ) -> str | None:
        CELLS[cell]
        if cell not in KERNELS:
            return f"no kernel for {cell}; there are kernels for {', '.join(KERNELS)}"
        if check_dtype(dtype) not in ("float64", "float32"):
            return f"no kernels in {dtype}: float64 and float32 alone"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> Array:
        if dtype is None:
            return np.ascontiguousarray(array)
        return np.ascontiguousarray(array, "float64" if dtype == "float64" else "float32")

    def to_numpy(self, native: Array) -> Array:
        return np.asarray(native)

    @property
    def num_threads(self) -> int:
        return self._num_threads

    def set_num_threads(self, n: int) -> None:
        self._num_threads = check_num_threads(n)

    def compilation(self) -> Compilation:
        return tally().so_far()

    def step_product(self, weight: Array, rows: int, steps: int, dtype: str) -> Callable[[], object]:
        return step_product(weight, rows, steps, dtype, self._num_threads)

    def describe(self) -> dict[str, str]:
        return {
            "numba": numba.__version__,
            "llvm": ".".join(str(part) for part in llvmlite.binding.llvm_version_info),
            "vectors": f"{HOST.vector_bytes * 8} bit",
            "compiled code": compiling.cache_folder() or "not kept: no folder can be written",
        }


class CheckpointedNumbaBackend(NumbaBackend):
    """The same kernels; a training pass takes more time and less memory (see `recall`)."""

    name: ClassVar[str] = "numba_checkpointed"
    checkpointed: ClassVar[bool] = True
