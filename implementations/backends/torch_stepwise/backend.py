"""What the three backends of hand-written cells share, and `torch_eager` itself.

They differ in one thing: what :meth:`StepwiseBackend.loop` makes of a cell's step.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch

from implementations.backends.torch_stepwise.cells import STEPS
from implementations.backends.torch_stepwise.layer import StepwiseLayer
from implementations.backends.torch_stepwise.loop import Loop, loop_over
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Parameters
from implementations.registry import CELLS


class StepwiseBackend(Backend):
    """Hand-written cells on the CPU.  `formats`: dtype -> what it is stored in."""

    namespace: ClassVar[Any] = torch
    formats: ClassVar[dict[str, torch.dtype]] = {"float64": torch.float64, "float32": torch.float32}

    @abstractmethod
    def loop(self, cell: str) -> Loop:
        """The loop over a cell's step, made ready to run; made once for all layers of a cell."""

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> StepwiseLayer:
        return StepwiseLayer(self, cell, parameters, dtype)

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
            return f"{cell} is not written by hand here; there are {', '.join(STEPS)}"
        if check_dtype(dtype) not in self.formats:
            return f"no {dtype} in this backend: {', '.join(self.formats)} alone"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> torch.Tensor:
        # a copy of its own, so that no tensor shares memory with (possibly read-only) NumPy
        tensor = torch.tensor(np.ascontiguousarray(array))
        if dtype is None:
            return tensor
        if check_dtype(dtype) not in self.formats:
            raise ValueError(f"dtype must be one of {', '.join(self.formats)} in {self.name}, got {dtype}")
        return tensor.to(self.formats[dtype])

    def to_numpy(self, native: torch.Tensor) -> Array:
        return native.detach().numpy()

    @property
    def num_threads(self) -> int:
        return torch.get_num_threads()

    def set_num_threads(self, n: int) -> None:
        torch.set_num_threads(check_num_threads(n))

    def describe(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "mkl": "yes" if torch.backends.mkl.is_available() else "no",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }


class EagerBackend(StepwiseBackend):
    name: ClassVar[str] = "torch_eager"

    def loop(self, cell: str) -> Loop:
        return loop_over(STEPS[cell])
