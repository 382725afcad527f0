"""Every type that crosses the border between an implementation and whoever uses it.

Arrays are time-major: inputs (T, B, I), output (T, B, H), each state (B, H).  The state is a tuple
in `Cell.state_names` order: ``(h,)`` or ``(h, c)``.  Parameters have PyTorch's names, shapes and gate
order.  Cells, dtypes and backends are named by strings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Native = Any
"""An array in the backend's own form: nested lists, a NumPy array, a tensor."""
State = tuple[Native, ...]

DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16")
"""Arithmetic a layer may be asked for.  The last three cross the border as float32."""


PARAMETER_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""What every cell has; a cell's further parameters are extras."""


class BackendUnavailable(RuntimeError):
    """A backend's library or device is absent; the message is the reason."""


class UnsupportedCase(ValueError):
    """A backend was asked to bind what its `why_unsupported` refuses; the message is the reason."""


class TapeUsed(RuntimeError):
    """A tape serves one backward; this one was used before."""


@dataclass(frozen=True)
class Parameters:
    """One layer's parameters, in PyTorch's names and layout.

    Args:
        weight_ih: (G·H, I), weight_hh: (G·H, H), bias_ih: (G·H,), bias_hh: (G·H,).
        extras: further named arrays that a cell declares (peepholes, gate recurrences).

    Raises:
        ValueError: an array's shape does not fit the others; the message names the array.
    """

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array
    extras: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in PARAMETER_NAMES:
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        object.__setattr__(self, "extras", {k: np.asarray(v) for k, v in self.extras.items()})
        for name in PARAMETER_NAMES:
            if name in self.extras:
                raise ValueError(f"extras must not hold {name}: it is an argument of its own")
        for name in ("weight_ih", "weight_hh"):
            if getattr(self, name).ndim != 2:
                raise ValueError(
                    f"{name} must have two axes (G·H, {'I' if name == 'weight_ih' else 'H'}), "
                    f"got shape {getattr(self, name).shape}"
                )
        rows, hidden_size = self.weight_hh.shape
        if hidden_size < 1 or rows < 1 or rows % hidden_size:
            raise ValueError(f"weight_hh must be (G·H, H) with H >= 1, got {self.weight_hh.shape}")
        if self.weight_ih.shape[0] != rows or self.weight_ih.shape[1] < 1:
            raise ValueError(
                f"weight_ih must be ({rows}, I) with I >= 1 to fit weight_hh {self.weight_hh.shape}, "
                f"got {self.weight_ih.shape}"
            )
        for name in ("bias_ih", "bias_hh"):
            if getattr(self, name).shape != (rows,):
                raise ValueError(
                    f"{name} must be ({rows},) to fit weight_hh {self.weight_hh.shape}, "
                    f"got {getattr(self, name).shape}"
                )

    @property
    def hidden_size(self) -> int:
        return int(self.weight_hh.shape[1])

    @property
    def input_size(self) -> int:
        return int(self.weight_ih.shape[1])

    @property
    def num_gates(self) -> int:
        return int(self.weight_hh.shape[0] // self.weight_hh.shape[1])

    def arrays(self) -> dict[str, Array]:
        """Name -> array, extras included, in a fixed order."""
        return {**{name: getattr(self, name) for name in PARAMETER_NAMES}, **self.extras}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Parameters:
        """The inverse of :meth:`arrays`."""
        missing = [name for name in PARAMETER_NAMES if name not in arrays]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}; got {', '.join(arrays) or 'nothing'}")
        extras = {name: array for name, array in arrays.items() if name not in PARAMETER_NAMES}
        return cls(**{name: arrays[name] for name in PARAMETER_NAMES}, extras=extras)

    def astype(self, dtype: str) -> Parameters:
        """The same values in a NumPy dtype ("float32", "float64")."""
        return Parameters.from_arrays({k: v.astype(dtype) for k, v in self.arrays().items()})

    @classmethod
    def from_torch(cls, module: Any, layer: int = 0, reverse: bool = False) -> Parameters:
        """One layer and direction of a `torch.nn.RNN/LSTM/GRU`, or a `torch.nn.RNNCell/LSTMCell/GRUCell`.

        Absent biases become zeros.

        Raises:
            ValueError: the module has no such layer or direction, or a projection (`proj_size`).
        """
        if getattr(module, "proj_size", 0):
            raise ValueError(f"proj_size must be 0, got {module.proj_size}: projections are not covered")
        own = dict(module.named_parameters(recurse=False))
        stacked = "weight_ih" not in own
        suffix = f"_l{layer}{'_reverse' if reverse else ''}" if stacked else ""
        if (not stacked and (layer or reverse)) or f"weight_ih{suffix}" not in own:
            raise ValueError(
                f"no parameter weight_ih{suffix} in {type(module).__name__} (layer={layer}, "
                f"reverse={reverse}); it has {', '.join(own) or 'none'}"
            )
        arrays = {
            name: own[name + suffix].detach().cpu().numpy().copy()
            for name in PARAMETER_NAMES
            if name + suffix in own
        }
        zeros = np.zeros(arrays["weight_hh"].shape[0], arrays["weight_hh"].dtype)
        return cls.from_arrays({"bias_ih": zeros, "bias_hh": zeros.copy(), **arrays})

    def to_state_dict(self, layer: int = 0, reverse: bool = False) -> dict[str, Any]:
        """The parameters as torch tensors under `torch.nn.RNN/LSTM/GRU`'s own keys (`weight_ih_l0`, …)."""
        import torch

        suffix = f"_l{layer}{'_reverse' if reverse else ''}"
        return {k + suffix: torch.tensor(np.ascontiguousarray(v)) for k, v in self.arrays().items()}


@dataclass(frozen=True)
class StepGradients:
    """What one step's backward returns: dL/dx (B, I), dL/dstate (tuple of (B, H)), name -> dL/dparameter."""

    x: Array
    state: tuple[Array, ...]
    parameters: dict[str, Array]


class Cell(ABC):
    """The equations of one recurrent cell, in NumPy: the truth that every backend is held against.

    `gates` are in PyTorch's order; a gate's rows of a weight or bias are those of :meth:`gate`.
    """

    name: str
    gates: tuple[str, ...]
    state_names: tuple[str, ...] = ("h",)
    direct_gates: bool = False
    """Whether every pre-activation is weight_ih x + weight_hh h + biases, and no gate reads another."""

    def parameter_shapes(self, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every parameter.

        Raises:
            ValueError: a size is not positive.
        """
        for label, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if size < 1:
                raise ValueError(f"{label} must be at least 1, got {size}")
        rows = len(self.gates) * hidden_size
        return {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }

    def check_parameters(self, parameters: Parameters) -> None:
        """Raise ValueError, naming the array, unless `parameters` are this cell's."""
        expected = self.parameter_shapes(parameters.input_size, parameters.hidden_size)
        got = {name: array.shape for name, array in parameters.arrays().items()}
        for name, shape in expected.items():
            if got.get(name) != shape:
                raise ValueError(
                    f"{self.name}: {name} must be {shape} ({len(self.gates)} gate(s)), "
                    f"got {got.get(name, 'nothing')}"
                )
        for name in got:
            if name not in expected:
                raise ValueError(f"{self.name} has no parameter {name}; it has {', '.join(expected)}")

    def gate(self, array: Array, gate: str) -> Array:
        """The rows of `array` (G·H, …) that belong to `gate`, as a view.

        Raises:
            KeyError: this cell has no such gate.
        """
        if gate not in self.gates:
            raise KeyError(f"{self.name} has no gate {gate!r}; it has {', '.join(self.gates)}")
        size = array.shape[0] // len(self.gates)
        start = self.gates.index(gate) * size
        return array[start : start + size]

    @abstractmethod
    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        """One step: x (B, I), state of (B, H) -> the next state of (B, H)."""

    @abstractmethod
    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        """The chain rule through one step; `state` is the one before it, `grad_state` dL/d(the one after)."""

    @abstractmethod
    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        """∂(state after)/∂(state before), (B, S, S): row = later component, column = earlier."""


@dataclass(frozen=True)
class Forward:
    """Output (T, B, H), final_state (tuple of (B, H)) and the tape (None unless training)."""

    output: Native
    final_state: State
    tape: Any | None


@dataclass(frozen=True)
class Gradients:
    """dL/d inputs (T, B, I), dL/d initial_state (tuple of (B, H)), and name -> dL/d parameter."""

    inputs: Native
    initial_state: State
    parameters: dict[str, Native]


class Layer(ABC):
    """A cell bound to parameters in one backend and dtype.

    Requirements on every implementation, held by tests/conformance:

    * any initial state (None means zeros), T >= 1, B >= 1, any strides; NaN and inf come out where the
      reference has them;
    * nothing given is changed in place, nothing returned is ever overwritten;
    * a tape stays valid however many forwards follow, and serves one backward (a second raises TapeUsed);
      it may refer to the arrays given and returned, which are to stay as they are until then;
    * arrays of the other float dtype are converted to the layer's own.
    """

    backend: Backend
    cell: Cell
    dtype: str
    parameters: Mapping[str, Native]

    @abstractmethod
    def update(self, parameters: Mapping[str, Native] | Parameters) -> None:
        """New parameter values of the same shapes: no recompilation.

        Native arrays by name need no conversion (a training loop gives them at every step); `Parameters`
        are converted.  A tape made before may be refused by `backward` (ValueError).

        Raises:
            ValueError: a parameter is missing, unknown or of another shape; the message names it.
        """

    @abstractmethod
    def forward(
        self,
        inputs: Native,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        """Run all T steps.

        Args:
            inputs: native (T, B, I).
            initial_state: native, tuple of (B, H) in `state_names` order; zeros where None.
            lengths: (B,) integers in 1…T: sample b stops after lengths[b] steps; its output is zero
                from there on and its final state is the one at its last step.
            training: keep what a backward needs (`Forward.tape`).

        Raises:
            ValueError: a shape that does not fit; the message names the argument.
        """

    @abstractmethod
    def backward(
        self,
        tape: Any,
        grad_output: Native | None = None,
        grad_final_state: State | None = None,
    ) -> Gradients:
        """The full chain rule: inputs, initial state, every parameter.

        Args:
            tape: of one `forward(…, training=True)` of this layer.
            grad_output: dL/d output (T, B, H); zeros where None.
            grad_final_state: dL/d final_state, tuple of (B, H); zeros where None.

        Raises:
            TapeUsed: the tape has served a backward before.
        """


@dataclass(frozen=True)
class Compilation:
    """What a backend has made ready in this process so far.

    Args:
        seconds: spent on compiling, and on loading code that another process had compiled.
        compiled: pieces of code (kernels, programs) that were compiled here.
        loaded: pieces that were found in a cache on disk.
    """

    seconds: float = 0.0
    compiled: int = 0
    loaded: int = 0

    def since(self, earlier: Compilation) -> Compilation:
        """What came after `earlier`."""
        return Compilation(
            self.seconds - earlier.seconds, self.compiled - earlier.compiled, self.loaded - earlier.loaded
        )


class Backend(ABC):
    """One library or device that computes layers.

    `device` is "cpu" or "cuda".  `set_num_threads(n)` bounds every thread pool that this backend's
    arithmetic uses; `num_threads` is what is really in force.
    """

    name: ClassVar[str]
    device: ClassVar[str] = "cpu"
    compiles: ClassVar[bool] = False
    """Whether new shapes or cells cost this backend seconds of compilation, in every process anew."""
    namespace: ClassVar[Any] = None
    """The module whose `concatenate` and `stack` take native arrays, where these also add, multiply and take
    index arrays as NumPy's do; None where they do not, and the way leads through NumPy."""
    code_folders: ClassVar[tuple[str, ...]] = ()
    """Environment variables that say in which folders compiled code is kept from one process to the next;
    none where none is kept."""

    @abstractmethod
    def bind(self, cell: str, parameters: Parameters, dtype: str) -> Layer:
        """A layer ready to run.

        Raises:
            UnknownName: no such cell.
            ValueError: parameters that are not this cell's.
            UnsupportedCase: what :meth:`why_unsupported` refuses.
        """

    @abstractmethod
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
        """The reason why this backend cannot do this work, or None where it can."""

    @abstractmethod
    def to_native(self, array: Array, dtype: str | None = None) -> Native:
        """A NumPy array of any strides in this backend's form.

        Keeps the array's dtype, unless `dtype` names one of DTYPES: then it comes in the format that a layer
        of that dtype computes with.
        """

    @abstractmethod
    def to_numpy(self, native: Native) -> Array:
        """A native array as NumPy (float32 for formats that NumPy lacks)."""

    def synchronize(self) -> None:
        """Return when all work handed to the device is done."""
        return

    @property
    @abstractmethod
    def num_threads(self) -> int: ...

    @abstractmethod
    def set_num_threads(self, n: int) -> None: ...

    def device_memory(self) -> AbstractContextManager[dict[str, int]] | None:
        """On a device with memory of its own: a context that fills in `allocated_bytes` and
        `reserved_bytes`, peaks above the baseline, and, where the driver says it, `process_bytes`: all that
        the process has there.  None where the process's own memory is what counts."""
        return None

    def step_product(self, weight: Array, rows: int, steps: int, dtype: str) -> Callable[[], object] | None:
        """The matrix product in this backend's own time loop, apart from a layer, to be timed.

        Args:
            weight: (G·H, H), NumPy.
            rows: B, the samples of a step.

        Returns:
            what does `steps` products (B, H) · (H, G·H) in turn, with the threads that a layer would use;
            None where the product is a library's, which can be timed by itself.
        """
        return None

    def compilation(self) -> Compilation | None:
        """What this process has compiled so far; None where the backend compiles nothing, or cannot tell."""
        return None

    def describe(self) -> dict[str, str]:
        """Versions and settings that decide how fast and how exact this backend is."""
        return {}
