"""What the kernels cannot do is refused here, in torch's kinds of error, naming the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
"""torch's dtype -> its name in the contract."""

State = tuple[torch.Tensor, ...]
"""(h,), or (h, c) of an LSTM."""


def check_construction(proj_size: int, device: Any, dtype: torch.dtype | None) -> None:
    """What a constructor is given, before torch allocates anything.

    "meta" is allowed: such a module is given its weights later (`to_empty`, `load_state_dict`).

    Raises:
        ValueError: proj_size is not 0, or dtype is neither float32 nor float64.
        RuntimeError: device is not the CPU.
    """
    if proj_size != 0:
        raise ValueError(
            f"proj_size must be 0, got {proj_size}: projections are not covered; use torch.nn.LSTM for them"
        )
    wanted = torch.get_default_device() if device is None else torch.device(device)
    if wanted.type not in ("cpu", "meta"):
        raise RuntimeError(f"device must be cpu, got {wanted}: the kernels run on the CPU alone")
    found = torch.get_default_dtype() if dtype is None else dtype
    # what is no dtype at all, or an integer one, torch refuses in its own words
    if isinstance(found, torch.dtype) and found.is_floating_point and found not in DTYPES:
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {found}")


def check_placement(weights: Mapping[str, torch.Tensor], arguments: Mapping[str, torch.Tensor]) -> None:
    """Raise, unless all tensors are on the CPU and of one dtype that there are kernels for.

    Args:
        weights: name -> tensor, all of a module's.
        arguments: name -> tensor, what its forward was given.

    Raises:
        RuntimeError: a tensor is on another device, or a state or weight of another dtype.
        ValueError: the weights are neither float32 nor float64, or the input is of another dtype than they.
    """
    for name, tensor in (*weights.items(), *arguments.items()):
        if tensor.device.type != "cpu":
            raise RuntimeError(
                f"{name} must be on the CPU, got {tensor.device}: the kernels run on the CPU alone"
            )
    first, dtype = next((name, weight.dtype) for name, weight in weights.items())
    if dtype not in DTYPES:
        raise ValueError(
            f"{first} must be torch.float32 or torch.float64, got {dtype}; convert the module: module.float()"
        )
    for name, tensor in (*weights.items(), *arguments.items()):
        if tensor.dtype != dtype:
            kind = ValueError if name == "input" else RuntimeError  # as torch has it
            raise kind(f"{name} must be {dtype} as the module is, got {tensor.dtype}; convert one")


def check_input(input: torch.Tensor, dimensions: int, input_size: int) -> None:
    """Raise RuntimeError, in torch's words, where the shape of `input` does not fit."""
    if input.dim() != dimensions:
        raise RuntimeError(f"input must have {dimensions} dimensions, got {input.dim()}")
    if input.size(-1) != input_size:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {input_size}, got {input.size(-1)}"
        )


def as_states(hx: Any, names: tuple[str, ...]) -> State | None:
    """`hx` as torch takes it -> a tuple of tensors, or None.

    Raises:
        TypeError: it is neither None nor a tensor (an LSTM: a pair of them).
    """
    if hx is None:
        return None
    if len(names) == 1:
        if not isinstance(hx, torch.Tensor):
            raise TypeError(f"hx must be a tensor, got {type(hx).__name__}")
        return (hx,)
    if isinstance(hx, tuple | list) and [isinstance(part, torch.Tensor) for part in hx] == [True, True]:
        return tuple(hx)
    raise TypeError(f"hx must be a pair of tensors (h_0, c_0), got {type(hx).__name__}")
