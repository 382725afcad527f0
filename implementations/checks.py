"""The argument checks that every backend's layer makes, once, so that every backend answers alike.

They look at shapes and dtypes alone and never touch values.  A failure is a ValueError of one line that names
the argument, what was expected and what came.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from implementations.contract import (
    DTYPES,
    Array,
    Backend,
    Cell,
    Layer,
    Native,
    Parameters,
    State,
    TapeUsed,
    UnsupportedCase,
)
from implementations.registry import CELLS, did_you_mean

Shape = tuple[int, ...]
ShapeOf = Callable[[Native], Shape]


def check_dtype(dtype: str) -> str:
    """`dtype` itself, where it is one of :data:`DTYPES`.

    Raises:
        ValueError: it is not; the message names the nearest.
    """
    if dtype in DTYPES:
        return dtype
    hint = did_you_mean(str(dtype), DTYPES)
    raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}{hint}")


def check_integer(name: str, value: Any) -> int:
    """`value` as an int, where it is an integer; ValueError where it is not, as True and 2.0 are not."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be integers, got {value!r}") from None


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool, where it is one; ValueError where it is not: "no" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_num_threads(n: int) -> int:
    """`n` itself, where it is a number of threads; ValueError where it is below 1."""
    if n < 1:
        raise ValueError(f"num_threads must be at least 1, got {n}")
    return n


def check_bind(backend: Backend, cell: str, parameters: Parameters, dtype: str) -> Cell:
    """The definition of `cell`, once it is clear that `backend` can bind these parameters to it.

    Raises:
        UnknownName: no such cell.
        ValueError: no such dtype, or parameters that are not this cell's.
        UnsupportedCase: what the backend's `why_unsupported` refuses.
    """
    definition = CELLS[cell]
    check_dtype(dtype)
    definition.check_parameters(parameters)
    reason = backend.why_unsupported(
        cell, dtype, input_size=parameters.input_size, hidden_size=parameters.hidden_size
    )
    if reason is not None:
        raise UnsupportedCase(f"{backend.name}: {reason}")
    return definition


def check_update(expected: Mapping[str, Shape], given: Mapping[str, Shape]) -> None:
    """Name -> shape of the parameters that a layer has, and of those that `update` is given.

    Raises:
        ValueError: one is missing, unknown or of another shape.
    """
    for name, shape in expected.items():
        if name not in given:
            raise ValueError(f"parameters lack {name}; expected {', '.join(expected)}")
        if tuple(given[name]) != shape:
            raise ValueError(f"parameters: {name} must be {shape}, got {tuple(given[name])}")
    for name in given:
        if name not in expected:
            raise ValueError(f"parameters: unknown {name}; expected {', '.join(expected)}")


def check_mapping(parameters: Any, names: Iterable[str], *, besides: str = "") -> None:
    """Raise ValueError unless what `update` is given maps names to arrays.

    Args:
        names: of the parameters that are there, in their order.
        besides: what else is taken, in words.
    """
    if not isinstance(parameters, Mapping):
        first, *_, last = names
        wanted = f"{besides}a mapping of names ({first}, … {last})"
        raise ValueError(f"parameters must be {wanted}, got {type(parameters).__name__}")


def check_real(argument: str, native: Native) -> None:
    """Raise ValueError where an array says that it is complex: its imaginary part would be cut off."""
    dtype = getattr(native, "dtype", None)
    kind = getattr(dtype, "kind", None)  # of NumPy; torch's dtypes say it themselves, and no name is as cheap
    if kind == "c" or (kind is None and getattr(dtype, "is_complex", False)):
        raise ValueError(f"{argument} must be real numbers, got {dtype}")


@dataclass(frozen=True)
class ArgumentChecks:
    """What the arguments of one layer's `forward` and `backward` must look like.

    Args:
        cell, input_size, hidden_size: the layer's.
        shape_of: the shape of a native array (`numpy.shape` serves arrays and tensors).
    """

    cell: Cell
    input_size: int
    hidden_size: int
    shape_of: ShapeOf = np.shape

    def forward(
        self, inputs: Native, initial_state: State | None, lengths: Any | None
    ) -> tuple[int, int, Array | None]:
        """T, B and the lengths as an array (B,) of int64, or None where none were given.

        Raises:
            ValueError: an argument does not fit; the message names it.
        """
        shape = tuple(self.shape_of(inputs))
        if len(shape) != 3 or shape[2] != self.input_size or min(shape) < 1:
            raise ValueError(
                f"inputs must be (T, B, I) with T >= 1, B >= 1, I = {self.input_size}, got {shape}"
            )
        check_real("inputs", inputs)
        seq_len, batch_size, _ = shape
        self.state("initial_state", initial_state, batch_size)
        return seq_len, batch_size, check_lengths(lengths, seq_len, batch_size)

    def backward(
        self, seq_len: int, batch_size: int, grad_output: Native | None, grad_final_state: State | None
    ) -> None:
        """Raise ValueError, naming the argument, unless both fit the forward that had T and B."""
        if grad_output is not None:
            self._exact("grad_output", "(T, B, H)", grad_output, (seq_len, batch_size, self.hidden_size))
        self.state("grad_final_state", grad_final_state, batch_size)

    def state(self, argument: str, state: State | None, batch_size: int) -> None:
        """Raise ValueError, naming `argument`, unless it is None or this cell's tuple of (B, H)."""
        if state is None:
            return
        names = self.cell.state_names
        if not isinstance(state, tuple) or len(state) != len(names):
            got = f"{len(state)} arrays" if isinstance(state, tuple) else type(state).__name__
            raise ValueError(f"{argument} must be a tuple ({', '.join(names)},) of arrays, got {got}")
        for name, array in zip(names, state, strict=True):
            self._exact(f"{argument} {name}", "(B, H)", array, (batch_size, self.hidden_size))

    def _exact(self, argument: str, axes: str, array: Native, expected: Shape) -> None:
        shape = tuple(self.shape_of(array))
        if shape != expected:
            raise ValueError(f"{argument} must be {axes} = {expected}, got {shape}")
        check_real(argument, array)


def check_lengths(lengths: Any | None, seq_len: int, batch_size: int) -> Array | None:
    """`lengths` as an array (B,) of int64, or None where it is None.

    Raises:
        ValueError: not B integers in 1…T.
    """
    if lengths is None:
        return None
    found = np.asarray(lengths)
    if found.shape != (batch_size,) or found.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be (B,) = ({batch_size},) integers, got shape {found.shape} of {found.dtype}"
        )
    if found.min() < 1 or found.max() > seq_len:
        raise ValueError(f"lengths must be in 1…T = {seq_len}, got {found.min()}…{found.max()}")
    return found.astype(np.int64)


class Tape:
    """What one `forward(…, training=True)` leaves for its one backward; backends add what they keep.

    A backward calls :func:`check_tape`, checks its other arguments, and only then sets `used`: a call
    that was refused for a wrong shape costs no tape.
    """

    def __init__(self, layer: Layer, seq_len: int, batch_size: int) -> None:
        self.layer = layer
        self.seq_len = seq_len
        self.batch_size = batch_size
        self.used = False


def check_tape(tape: Any, layer: Layer) -> None:
    """Raise unless `tape` can serve a backward of `layer`.

    Raises:
        ValueError: it does not come from a forward of this very layer with training=True.
        TapeUsed: it has served its backward.
    """
    if not isinstance(tape, Tape):
        raise ValueError(f"tape must come from forward(…, training=True), got {type(tape).__name__}")
    if tape.layer is not layer:
        raise ValueError(
            f"tape must come from a forward of this {layer.cell.name} layer, got another layer's"
        )
    if tape.used:
        raise TapeUsed("this tape has served its one backward; run forward again for another")
