"""Backend `naive`: plain Python floats, lists and `math`, the equations as a student would type them.

No NumPy in any loop, no vectors but lists, every chain rule by hand.  Python has doubles only: asked for
float32 it computes in doubles and rounds what crosses the border (parameters, inputs, states, outputs,
gradients) to the nearest float32.
"""

from __future__ import annotations

import platform
from typing import Any, ClassVar

import numpy as np

from implementations.backends.naive.layer import EQUATIONS, NaiveLayer
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Parameters
from implementations.hints import Hint, hinted
from implementations.registry import BACKENDS, CELLS


class NaiveBackend(Backend):
    name: ClassVar[str] = "naive"

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> NaiveLayer:
        return NaiveLayer(self, cell, parameters, dtype)

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
        if cell not in EQUATIONS:
            return f"nobody has written {cell} in plain Python; there are {', '.join(EQUATIONS)}"
        if check_dtype(dtype) not in ("float64", "float32"):
            return f"no {dtype} arithmetic in plain Python: float64, and float32 by rounding at the border"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> Any:
        """Nested lists of floats."""
        if dtype is not None:
            array = np.asarray(array, "float64" if dtype == "float64" else "float32")
        return np.asarray(array).tolist()

    def to_numpy(self, native: Any) -> Array:
        return np.asarray(native)

    @property
    def num_threads(self) -> int:
        """1: the interpreter runs one thread of Python at a time."""
        return 1

    def set_num_threads(self, n: int) -> None:
        check_num_threads(n)

    def describe(self) -> dict[str, str]:
        return {"python": f"{platform.python_implementation()} {platform.python_version()}"}


@BACKENDS.register("naive")
@hinted(Hint(interpreted=True))
def load() -> Backend:
    """Plain Python floats, lists and math: the equations as a student would type them."""
    return NaiveBackend()
