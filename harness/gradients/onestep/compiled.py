"""Steps that take several lags in one call of a compiled kernel, in NumPy and float64."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from harness.gradients.namespace import Space
from harness.gradients.native import Native as Kernel
from harness.gradients.native import address
from harness.gradients.onestep.lstm import LSTMStep
from harness.gradients.onestep.simple import SimpleStep
from harness.gradients.onestep.step import Native, OneStep
from implementations.contract import Cell, Parameters

ROWS = 8
"""Of a register tile."""


class CompiledStep(OneStep):
    """Args:
    kernels: those of `compiled_steps`, by name.
    """

    def __init__(
        self, cell: Cell, parameters: Parameters, space: Space, kernels: Mapping[str, Kernel]
    ) -> None:
        super().__init__(cell, parameters, space)
        self._kernels = kernels
        self._panels = self._in_panels(self.multiplied())
        depth, width = self._panels.shape[1:]
        self._block = np.zeros(ROWS * depth + width)

    @abstractmethod
    def multiplied(self) -> Native:
        """What rows are multiplied by, (K, H), as far as it is the same at every step."""

    @abstractmethod
    def stretch(
        self,
        columns: Sequence[Native],
        slopes: tuple[Native, ...],
        newest: int,
        places: Sequence[int],
        memory: Sequence[Native],
        squares: Native,
    ) -> None:
        """See `Factors.stretch`.

        Args:
            slopes: of steps in their order, of which number `newest` is the first that the rows go through.
            squares: (states, slots, B, R), to be written to.
        """

    def _call(
        self,
        name: str,
        columns: Sequence[Native],
        given: Sequence[Native],
        newest: int,
        places: Sequence[int],
        memory: Sequence[Native],
        squares: Native,
    ) -> None:
        """A stretch by the kernel of this name, with what it is given beside the rows themselves."""
        count, _, width = self._panels.shape
        contiguous = [np.ascontiguousarray(array) for array in (*columns, *given)]
        arrays = [*contiguous, self._block, *memory, squares, np.array(places, np.int64)]
        sizes = (len(places), *columns[0].shape, len(memory[0]), newest, count, width)
        self._kernels[name](*sizes, *map(address, arrays))

    def _in_panels(self, matrix: Native) -> Native:
        """(K, H) as (p, K, W): so many columns after another as a register tile has, zeros after the last."""
        found = np.zeros(1, np.int64)
        self._kernels["panel_width"](address(found))
        (depth, size), width = matrix.shape, int(found[0])
        padded = np.zeros((depth, -(-size // width) * width))
        padded[:, :size] = matrix
        return np.ascontiguousarray(padded.reshape(depth, -1, width).swapaxes(0, 1))


class CompiledSimpleStep(CompiledStep, SimpleStep):
    """J = diag(φ'(a)) W_hh."""

    def multiplied(self) -> Native:
        return self.weight_hh

    def stretch(
        self,
        columns: Sequence[Native],
        slopes: tuple[Native, ...],
        newest: int,
        places: Sequence[int],
        memory: Sequence[Native],
        squares: Native,
    ) -> None:
        given = (*slopes, self._panels)
        self._call("simple_stretch", columns, given, newest, places, memory, squares)


class CompiledLSTMStep(CompiledStep, LSTMStep):
    """The LSTM's forward pass, and its steps with C made where it is used."""

    def __init__(
        self, cell: Cell, parameters: Parameters, space: Space, kernels: Mapping[str, Kernel]
    ) -> None:
        super().__init__(cell, parameters, space, kernels)
        self._side_by_side = np.ascontiguousarray(self._weights)
        self._transposed = np.ascontiguousarray(self.weight_hh.T)

    def multiplied(self) -> Native:
        """[U_o; room for C]."""
        return np.concatenate([self.weight("o"), np.zeros_like(self.weight("o"))])

    def run(self, products: Native, states: Sequence[Native]) -> None:
        given, room = products + self.bias_hh, np.empty(products.shape[-1])
        arrays = (given, self._transposed, *states, room)
        self._kernels["lstm_forward"](*products.shape[:2], self.hidden_size, *map(address, arrays))

    def stretch(
        self,
        columns: Sequence[Native],
        slopes: tuple[Native, ...],
        newest: int,
        places: Sequence[int],
        memory: Sequence[Native],
        squares: Native,
    ) -> None:
        given = (*slopes, self._side_by_side, self._panels)
        self._call("lstm_stretch", columns, given, newest, places, memory, squares)
