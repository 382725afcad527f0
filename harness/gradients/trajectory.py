"""The forward pass that every analysis starts from, with all arguments checked.

The states of all steps are kept, T·B·S numbers; the Jacobians, which would be S times as many, are computed
again wherever they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Cell, Parameters
from implementations.registry import CELLS

Array = NDArray[Any]

DTYPES = ("float64", "float32")


class ForwardDiverged(FloatingPointError, ValueError):
    """A state became inf or NaN: there is no Jacobian from there on.

    Args:
        step: the first t at which h_t is not finite (1…T).
    """

    def __init__(self, cell: str, state: str, step: int, sample: int) -> None:
        super().__init__(
            f"{cell}: the forward pass diverged: {state}_t is not finite at step t = {step} (sample {sample})"
            "; use fewer steps, or a smaller gain"
        )
        self.step = step


@dataclass(frozen=True)
class Trajectory:
    """A network's states under given inputs.

    Args:
        inputs: (T, B, I); step t = 1…T reads inputs[t − 1].
        states: per state name (T + 1, B, H); index t is the state after t steps.
    """

    cell: Cell
    parameters: Parameters
    inputs: Array
    states: tuple[Array, ...]

    @property
    def seq_len(self) -> int:
        return len(self.inputs)

    @property
    def batch_size(self) -> int:
        return int(self.inputs.shape[1])

    @property
    def hidden_size(self) -> int:
        return self.parameters.hidden_size

    @property
    def state_size(self) -> int:
        """S."""
        return self.hidden_size * len(self.states)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inputs.dtype

    def state(self, t: int) -> tuple[Array, ...]:
        """The state after t steps, a tuple of (B, H)."""
        return tuple(state[t] for state in self.states)

    def sample(self, b: int) -> Trajectory:
        """The trajectory of one sample alone, B = 1."""
        states = tuple(state[:, b : b + 1] for state in self.states)
        return Trajectory(self.cell, self.parameters, self.inputs[:, b : b + 1], states)

    def jacobian(self, t: int) -> Array:
        """J_t = ∂s_t/∂s_{t−1}, (B, S, S), t = 1…T."""
        return self.cell.step_jacobian(self.parameters, self.inputs[t - 1], self.state(t - 1))


def run_forward(
    cell: str | Cell,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    steps: int | None = None,
    dtype: str = "float64",
    device: str = "cpu",
) -> Trajectory:
    """Run a network and keep its states.

    Args:
        cell: a name in CELLS, or a cell that is in no registry.
        inputs: (T, B, I), T >= 1.
        initial_state: tuple of (B, H) in the cell's order; zeros where None.
        steps: how many of the T steps to run; all where None.
        dtype: "float64" or "float32", of the forward pass and of everything computed from it.
        device: "cpu".

    Raises:
        UnknownName: (a KeyError) no such cell.
        ValueError: shapes that do not fit, T = 0, NaN or inf in an array (named, with the first index), a
            dtype or device that this analysis does not have.
        ForwardDiverged: a state became inf or NaN, with the step.
    """
    definition = cell if isinstance(cell, Cell) else CELLS[cell]
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if device != "cpu":
        raise ValueError(f"device must be 'cpu', got {device!r}: this analysis runs in NumPy")
    definition.check_parameters(parameters)
    check_finite(parameters.arrays())
    inputs = _checked_inputs(inputs, parameters)
    state = _checked_state(definition, initial_state, inputs.shape[1], parameters.hidden_size)
    parameters = parameters.astype(dtype)
    inputs = inputs[:steps].astype(dtype)
    states = tuple(np.empty((len(inputs) + 1, *array.shape), dtype) for array in state)
    state = tuple(array.astype(dtype) for array in state)
    # Divergence is looked for and reported with its step; NumPy's warnings would only say that it happened.
    with np.errstate(all="ignore"):
        for t in range(len(inputs) + 1):
            if t > 0:
                state = definition.step(parameters, inputs[t - 1], state)
            for name, kept, array in zip(definition.state_names, states, state, strict=True):
                kept[t] = array
                if not np.isfinite(array).all():
                    sample = int(np.argwhere(~np.isfinite(array))[0, 0])
                    raise ForwardDiverged(definition.name, name, t, sample)
    return Trajectory(definition, parameters, inputs, states)


def check_finite(arrays: Mapping[str, Array] | Iterable[tuple[str, Array]]) -> None:
    """Raise ValueError, with the array's name and the first index, where an entry is NaN or inf."""
    for name, array in dict(arrays).items():
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{name} must be finite, got {array[index]} at index {index}")


def _checked_inputs(inputs: Any, parameters: Parameters) -> Array:
    inputs = np.asarray(inputs)
    if inputs.ndim != 3 or 0 in inputs.shape[:2]:
        raise ValueError(f"inputs must be (T, B, I) with T >= 1 and B >= 1, got shape {inputs.shape}")
    if inputs.shape[2] != parameters.input_size:
        raise ValueError(
            f"inputs must have {parameters.input_size} features to fit weight_ih "
            f"{parameters.weight_ih.shape}, got shape {inputs.shape}"
        )
    check_finite({"inputs": inputs})
    return inputs


def _checked_state(
    cell: Cell, state: Sequence[Array] | None, batch_size: int, hidden_size: int
) -> tuple[Array, ...]:
    if state is None:
        return tuple(np.zeros((batch_size, hidden_size)) for _ in cell.state_names)
    checked = tuple(np.asarray(array) for array in state)
    if len(checked) != len(cell.state_names):
        raise ValueError(
            f"initial_state must be a tuple ({', '.join(cell.state_names)}), got {len(checked)} arrays"
        )
    for name, array in zip(cell.state_names, checked, strict=True):
        if array.shape != (batch_size, hidden_size):
            raise ValueError(
                f"initial_state {name} must be (B, H) = ({batch_size}, {hidden_size}), got {array.shape}"
            )
    check_finite({f"initial_state {n}": array for n, array in zip(cell.state_names, checked, strict=True)})
    return checked
