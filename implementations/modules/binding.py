"""A module's weights as the kernels' packed copy, which is renewed whenever the weights differ from it.

Differ in value, that is: the weights are compared, bit for bit, at every call.  torch's version counters
would be cheaper and wrong: `weight.data.clamp_(…)`, a weight's NumPy view or another process may change a
weight that still has its version and address.  The comparison reads every
weight once, at the speed of memory.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch

from implementations.contract import PARAMETER_NAMES, Array, Backend, Parameters
from implementations.modules.arguments import DTYPES
from implementations.registry import load_backend
from implementations.stack import Stack


@cache
def shared_backend() -> Backend:
    """The backend that all modules share."""
    return load_backend("numba")


def follow_torch() -> None:
    """As many threads for the kernels as torch has now."""
    shared_backend().set_num_threads(torch.get_num_threads())


class Binding:
    """One module's stack of layers; safe to ask from several threads.

    Args:
        cell: its name.
        names: of all the module's weights, in torch's order.
        bidirectional: the module's.
        bias: the module's; zeros stand in for absent ones.
    """

    def __init__(self, cell: str, names: tuple[str, ...], *, bidirectional: bool, bias: bool) -> None:
        self.names = names
        self._cell = cell
        self._bidirectional = bidirectional
        self._each = len(PARAMETER_NAMES) if bias else 2
        self._lock = threading.Lock()
        self._stack: Stack | None = None

    def stack(self, weights: tuple[torch.Tensor, ...]) -> Stack:
        """The stack, with the values that these weights have now.

        Args:
            weights: in the order of `names`, of one dtype.
        """
        arrays = self._with_biases([weight.numpy(force=True) for weight in weights])
        dtype = DTYPES[weights[0].dtype]
        with self._lock:
            if self._stack is None or self._stack.dtype != dtype:
                self._stack = self._bind(arrays, dtype)
            elif not _same(arrays, self._stack.parameters):
                self._stack.update(arrays)
            return self._stack

    def _bind(self, arrays: Mapping[str, Array], dtype: str) -> Stack:
        four = len(PARAMETER_NAMES)
        values = list(arrays.values())
        layers = [
            Parameters.from_arrays(dict(zip(PARAMETER_NAMES, values[place : place + four], strict=True)))
            for place in range(0, len(values), four)
        ]
        return Stack(shared_backend(), self._cell, layers, dtype, bidirectional=self._bidirectional)

    def _with_biases(self, given: list[Array]) -> dict[str, Array]:
        """Name -> array of all parameters that the layers have."""
        if self._each == len(PARAMETER_NAMES):
            return dict(zip(self.names, given, strict=True))
        arrays = {}
        for place in range(0, len(given), self._each):
            weight_ih, weight_hh = given[place : place + self._each]
            zeros = np.zeros(len(weight_ih), weight_ih.dtype)
            values = (weight_ih, weight_hh, zeros, zeros)
            end = self.names[place].removeprefix(PARAMETER_NAMES[0])
            arrays.update({name + end: value for name, value in zip(PARAMETER_NAMES, values, strict=True)})
        return arrays


def _same(arrays: Mapping[str, Array], others: Mapping[str, Array]) -> bool:
    """Bit for bit: a NaN equals itself, and the two zeros differ."""
    return all(_same_bits(array, others[name]) for name, array in arrays.items())


def _same_bits(array: Array, other: Array) -> bool:
    if array.shape != other.shape:
        return False
    bits = f"u{array.itemsize}"
    return bool((array.view(bits) == other.view(bits)).all())
