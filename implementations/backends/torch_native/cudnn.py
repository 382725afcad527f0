"""Backend `cudnn`: torch.nn on a CUDA device, where it hands whole sequences to cuDNN.

TF32 is off but in dtype "tf32": torch leaves it on for cuDNN, and "float32" would not mean float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import torch

from implementations.backends.torch_native.backend import TorchBackend, arithmetic_flags
from implementations.backends.torch_native.driver import process_memory_bytes

LONGEST_SEQUENCE = 65535
"""cuDNN refuses 65 536 steps and more."""


def why_unavailable() -> str | None:
    """The reason why there is no cuDNN here, or None where there is."""
    if torch.version.cuda is None:
        return f"no CUDA device: torch {torch.__version__} is built without CUDA"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        visible = torch.cuda.is_available()
    if not visible:
        why = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
        return f"no CUDA device visible to torch {torch.__version__}{why}"
    if not torch.backends.cudnn.is_available():
        return f"torch {torch.__version__} is built without cuDNN"
    return None


@contextmanager
def cudnn_on() -> Iterator[None]:
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = True
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


@cache
def accepted(dtype: torch.dtype) -> bool:
    """Whether torch hands this format to cuDNN; what it does not, it computes elsewhere in silence."""
    with cudnn_on():
        return bool(torch.cudnn_is_acceptable(torch.empty(1, dtype=dtype, device="cuda")))


class CudnnBackend(TorchBackend):
    name: ClassVar[str] = "cudnn"
    device: ClassVar[str] = "cuda"
    formats: ClassVar[dict[str, torch.dtype]] = {
        "float64": torch.float64,
        "float32": torch.float32,
        "tf32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }

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
        reason = super().why_unsupported(cell, dtype)
        if reason is not None:
            return reason
        if seq_len is not None and seq_len > LONGEST_SEQUENCE:
            return f"cuDNN refuses sequences of more than {LONGEST_SEQUENCE} steps, got {seq_len}"
        if dtype == "tf32" and torch.cuda.get_device_capability() < (8, 0):
            return f"{torch.cuda.get_device_name()} has no TF32 (it came with compute capability 8.0)"
        if not accepted(self.formats[dtype]):
            return f"cuDNN in torch {torch.__version__} takes no {dtype}: torch.nn would use another kernel"
        return None

    @contextmanager
    def precision(self, dtype: str) -> Iterator[None]:
        """cuDNN on, and TF32 in its recurrent kernels exactly where dtype is "tf32"."""
        # the recurrent kernels' own switch: reading or writing the old `allow_tf32` beside it is an error
        switch: Any = torch.backends.cudnn.rnn
        before = switch.fp32_precision
        with cudnn_on():
            switch.fp32_precision = "tf32" if dtype == "tf32" else "ieee"
            try:
                yield
            finally:
                switch.fp32_precision = before

    def flatten(self, module: torch.nn.RNNBase) -> None:
        """One block for all weights, in cuDNN's order.

        `module.flatten_parameters()` does the same but passes over bfloat16 in silence; cuDNN would then
        be handed a fresh copy of the weights at every call.
        """
        with torch.no_grad(), cudnn_on():
            torch._cudnn_rnn_flatten_weight(
                [weight for weight in module._flat_weights if weight is not None],
                4,  # weights per layer and direction
                module.input_size,
                torch.backends.cudnn.rnn.get_cudnn_mode(module.mode),
                module.hidden_size,
                0,  # no projection
                module.num_layers,
                False,  # not batch first
                module.bidirectional,
            )

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    @contextmanager
    def device_memory(self) -> Iterator[dict[str, int]]:
        """Peaks of torch's allocator above what is in use and reserved on entry, and, where the driver says
        it, `process_bytes`: all that this process has on the device on leaving.

        Its cache is emptied first: memory kept from earlier calls would hide what this one reserves.
        """
        found: dict[str, int] = {}
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        yield found
        torch.cuda.synchronize()
        found["allocated_bytes"] = torch.cuda.max_memory_allocated() - allocated
        found["reserved_bytes"] = torch.cuda.max_memory_reserved() - reserved
        process = process_memory_bytes(str(torch.cuda.get_device_properties().uuid))
        if process is not None:
            found["process_bytes"] = process

    def describe(self) -> dict[str, str]:
        major, minor = torch.cuda.get_device_capability()
        return {
            "torch": torch.__version__,
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
            "device": torch.cuda.get_device_name(),
            "compute_capability": f"{major}.{minor}",
            "tf32": 'only in dtype "tf32"',
            "cudnn_deterministic": str(torch.backends.cudnn.deterministic),
            "cudnn_benchmark": str(torch.backends.cudnn.benchmark),
            **arithmetic_flags(),
        }
