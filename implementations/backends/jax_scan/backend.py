"""Backend `jax`, and the two process-wide settings that it needs.

* float64: JAX has it only behind a switch for the whole process (`jax_enable_x64`), which loading this
  backend turns on.  Arrays keep the dtype that they are made with; float32 stays float32.
* threads: XLA reads the size of its CPU thread pool from `NPROC` when its client starts, and never again.
  `set_num_threads` therefore ends a client of another size; the next call starts one and compiles anew.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

# before JAX is imported: on a machine with an accelerator it would start that first
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.extend.backend
import jax.numpy as jnp
import jaxlib
import numpy as np

from implementations.backends.jax_scan.cells import STEPS
from implementations.backends.jax_scan.layer import JaxLayer
from implementations.backends.jax_scan.tally import tally
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Compilation, Parameters
from implementations.registry import CELLS

DTYPES = ("float64", "float32")


class JaxBackend(Backend):
    name: ClassVar[str] = "jax"
    namespace: ClassVar[Any] = jnp
    compiles: ClassVar[bool] = True

    def __init__(self) -> None:
        jax.config.update("jax_enable_x64", True)
        tally()

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> JaxLayer:
        return JaxLayer(self, cell, parameters, dtype)

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
        if cell not in STEPS:
            return f"{cell} is not written for jax.lax.scan here; there are {', '.join(STEPS)}"
        if check_dtype(dtype) not in DTYPES:
            return f"no {dtype} in this backend: {', '.join(DTYPES)} alone"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> jax.Array:
        if dtype is not None and check_dtype(dtype) not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)} in {self.name}, got {dtype}")
        # a copy: JAX may else share NumPy's memory, and takes it for immutable
        return jnp.array(np.ascontiguousarray(array), dtype=dtype, copy=True)

    def to_numpy(self, native: jax.Array) -> Array:
        return np.asarray(native)

    @property
    def num_threads(self) -> int:
        return int(os.environ.get("NPROC") or len(os.sched_getaffinity(0)))

    def set_num_threads(self, n: int) -> None:
        if check_num_threads(n) == self.num_threads:
            return
        os.environ["NPROC"] = str(n)
        jax.extend.backend.clear_backends()

    def compilation(self) -> Compilation:
        return tally().so_far()

    def describe(self) -> dict[str, str]:
        return {
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "platform": jax.devices()[0].platform,
            "loop": "lax.scan, input product outside",
        }
