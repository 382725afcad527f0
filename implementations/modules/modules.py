"""The three classes: torch's own constructors, after a look at what the kernels cannot do."""

from __future__ import annotations

from typing import Any

import torch

from implementations.modules.arguments import check_construction
from implementations.modules.recurrent import Recurrent


class RNN(Recurrent, torch.nn.RNN):
    """`torch.nn.RNN`, computed by Numba kernels.  Arguments, inputs and outputs: as torch documents them.

    Raises:
        ValueError: `proj_size` is not 0, or `dtype` is neither float32 nor float64.
        RuntimeError: `device` is not the CPU.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_construction(proj_size, device, dtype)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )


class LSTM(Recurrent, torch.nn.LSTM):
    """`torch.nn.LSTM`, computed by Numba kernels.  Arguments, inputs and outputs: as torch documents them.

    Raises:
        ValueError: `proj_size` is not 0, or `dtype` is neither float32 nor float64.
        RuntimeError: `device` is not the CPU.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_construction(proj_size, device, dtype)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )


class GRU(Recurrent, torch.nn.GRU):
    """`torch.nn.GRU`, computed by Numba kernels.  Arguments, inputs and outputs: as torch documents them.

    Raises:
        ValueError: `proj_size` is not 0, or `dtype` is neither float32 nor float64.
        RuntimeError: `device` is not the CPU.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_construction(proj_size, device, dtype)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
