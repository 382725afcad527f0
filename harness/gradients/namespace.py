"""Where an analysis computes: NumPy on the processor, torch tensors on a device, by one and the same code.

NumPy and torch spell most of what the engine needs alike (matmul, einsum, amax, frexp, linalg.qr, …); what
they do not is here.  torch is imported when a device is asked for, and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.namespaces import namespace_of as namespace_of

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Space:
    """One array library, at one device and dtype.

    Args:
        xp: the library's module, numpy or torch.
        dtype: "float64" or "float32".
        device: torch's device; None for NumPy.
        chunk_bytes: what is computed for several steps at once may take about so much.
    """

    xp: Any
    dtype: str
    device: Any = None
    chunk_bytes: int = 1 << 20

    @property
    def is_numpy(self) -> bool:
        return self.xp is np

    def put(self, array: Any) -> Any:
        """A NumPy array of numbers, here, in this space's dtype."""
        if self.is_numpy:
            return np.asarray(array, self.dtype)
        return self.xp.tensor(
            np.ascontiguousarray(array), dtype=getattr(self.xp, self.dtype), device=self.device
        )

    def zeros(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        name = dtype or self.dtype
        if self.is_numpy:
            return np.zeros(shape, name)
        return self.xp.zeros(shape, dtype=getattr(self.xp, name), device=self.device)

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Not yet written."""
        if self.is_numpy:
            return np.empty(shape, self.dtype)
        return self.xp.empty(shape, dtype=getattr(self.xp, self.dtype), device=self.device)

    def get(self, array: Any) -> NDArray[Any]:
        """The array as NumPy."""
        return np.asarray(array) if self.is_numpy else array.cpu().numpy()


def space_for(device: str, dtype: str) -> Space:
    """The space of a device: "cpu" is NumPy; "cuda", "cuda:1", … torch there; "torch" torch on the processor.

    Raises:
        ValueError: no such dtype; no such device on this machine.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if device == "cpu":
        return Space(np, dtype)
    kind, _, index = str(device).partition(":")
    if kind not in ("cuda", "torch") or (index and (kind != "cuda" or not index.isdigit())):
        raise ValueError(f"device must be 'cpu', 'cuda', 'cuda:N' or 'torch', got {device!r}")
    import torch

    if kind == "torch":
        return Space(torch, dtype, torch.device("cpu"))
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise ValueError(
            f"device {device!r} is absent: this machine has {count} CUDA devices; device='cpu' runs in NumPy"
        )
    return Space(torch, dtype, torch.device(device), 256 << 20)


def as_float64(array: Any) -> Any:
    """Without a copy where it is float64 already."""
    return (
        array.astype(np.float64, copy=False) if isinstance(array, np.ndarray | np.generic) else array.double()
    )


def as_int64(array: Any) -> Any:
    return array.astype(np.int64) if isinstance(array, np.ndarray | np.generic) else array.long()


def cast_like(array: Any, like: Any) -> Any:
    """`array` in the dtype of `like`."""
    return (
        array.to(like.dtype)
        if not isinstance(array, np.ndarray | np.generic)
        else array.astype(like.dtype, copy=False)
    )


def integer_zeros(shape: tuple[int, ...], like: Any) -> Any:
    """int64 zeros where the array `like` lives."""
    if isinstance(like, np.ndarray | np.generic):
        return np.zeros(shape, np.int64)
    return like.new_zeros(shape, dtype=namespace_of(like).int64)
