"""Backends `torch` and `cudnn`: torch.nn.RNN, LSTM and GRU, on the CPU and on a CUDA device.

`torch_stack` and `cudnn_stack` are the same with stacks of layers in one module each.
This module names them; torch itself is imported only when one of them is loaded.
"""

from __future__ import annotations

from implementations.contract import Backend, BackendUnavailable
from implementations.hints import Hint, hinted
from implementations.registry import BACKENDS


@BACKENDS.register("torch")
@hinted(Hint("torch", loading=18.0, step_calls=20.0))
def load_torch() -> Backend:
    """torch.nn.RNN, LSTM and GRU on the CPU (oneDNN, ATen)."""
    from implementations.backends.torch_native.backend import TorchBackend

    return TorchBackend()


@BACKENDS.register("cudnn")
@hinted(Hint("torch", cuda=True, loading=16.0, step_calls=3.0))
def load_cudnn() -> Backend:
    """torch.nn.RNN, LSTM and GRU on a CUDA device with cuDNN on."""
    from implementations.backends.torch_native.cudnn import CudnnBackend, why_unavailable

    reason = why_unavailable()
    if reason is not None:
        raise BackendUnavailable(f"cudnn: {reason}")
    return CudnnBackend()


@BACKENDS.register("torch_stack")
@hinted(Hint("torch", loading=18.0, step_calls=20.0))
def load_torch_stack() -> Backend:
    """As `torch`; layers and directions of a stack in one torch.nn module."""
    from implementations.backends.torch_native.stack import TorchStackBackend

    return TorchStackBackend()


@BACKENDS.register("cudnn_stack")
@hinted(Hint("torch", cuda=True, loading=16.0, step_calls=3.0))
def load_cudnn_stack() -> Backend:
    """As `cudnn`; layers and directions of a stack in one call, cuDNN's own fused stack."""
    from implementations.backends.torch_native.cudnn import why_unavailable
    from implementations.backends.torch_native.stack import CudnnStackBackend

    reason = why_unavailable()
    if reason is not None:
        raise BackendUnavailable(f"cudnn_stack: {reason}")
    return CudnnStackBackend()
