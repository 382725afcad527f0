"""What `torch` and `cudnn` have in common, and `torch` itself: torch.nn on the CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch

from implementations.backends.torch_native.layer import MODULES, TorchLayer, numpy_of
from implementations.checks import check_dtype, check_num_threads
from implementations.contract import Array, Backend, Parameters
from implementations.registry import CELLS

PREACTIVATION = (
    "the state of torch.nn.RNN is the activation's value, not the pre-activation: another function"
)
OTHER_FUNCTIONS = {
    "gru_reset_before": "torch.nn.GRU applies the reset gate after the product: another function",
    "rnn_linear": "torch.nn.RNN has tanh and relu alone",
    "rnn_tanh_preactivation": PREACTIVATION,
    "rnn_relu_preactivation": PREACTIVATION,
}
"""Cell name -> why torch.nn is no implementation of it."""


class TorchBackend(Backend):
    """torch.nn on the CPU.  `formats`: dtype -> what it is stored in."""

    name: ClassVar[str] = "torch"
    device: ClassVar[str] = "cpu"
    namespace: ClassVar[Any] = torch
    formats: ClassVar[dict[str, torch.dtype]] = {"float64": torch.float64, "float32": torch.float32}

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> TorchLayer:
        return TorchLayer(self, cell, parameters, dtype)

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
        if cell not in MODULES:
            return OTHER_FUNCTIONS.get(cell, f"torch.nn has no {cell}; there are {', '.join(MODULES)}")
        if check_dtype(dtype) not in self.formats:
            return f"no {dtype} in this backend: {', '.join(self.formats)} alone"
        return None

    def to_native(self, array: Array, dtype: str | None = None) -> torch.Tensor:
        # a copy of its own, so that no tensor shares memory with (possibly read-only) NumPy
        tensor = torch.tensor(np.ascontiguousarray(array), device=self.device)
        return tensor if dtype is None else tensor.to(self.format_of(dtype))

    def to_numpy(self, native: torch.Tensor) -> Array:
        return numpy_of(native)

    def format_of(self, dtype: str) -> torch.dtype:
        if check_dtype(dtype) not in self.formats:
            raise ValueError(f"dtype must be one of {', '.join(self.formats)} in {self.name}, got {dtype}")
        return self.formats[dtype]

    def precision(self, dtype: str) -> AbstractContextManager[None]:
        """The settings under which a layer of this dtype computes, for the length of one call."""
        return nullcontext()

    def flatten(self, module: torch.nn.RNNBase) -> None:
        """Lay the weights out as the device's library wants them; nothing to do on the CPU."""
        return

    @property
    def num_threads(self) -> int:
        return torch.get_num_threads()

    def set_num_threads(self, n: int) -> None:
        torch.set_num_threads(check_num_threads(n))

    def describe(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "onednn": "on"
            if torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
            else "off",
            "mkl": "yes" if torch.backends.mkl.is_available() else "no",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            **arithmetic_flags(),
        }


def arithmetic_flags() -> dict[str, str]:
    """The switches of torch that trade exactness, or repeatability, for speed, as they stand."""
    return {
        "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
