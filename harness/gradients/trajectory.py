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

from harness.gradients.namespace import Space, space_for
from harness.gradients.onestep import one_step
from harness.gradients.threads import threads_for
from implementations.contract import Cell, Parameters
from implementations.registry import CELLS

Array = NDArray[Any]

STEPS_AT_ONCE = 256
"""Whose input products are taken together, and that are checked together."""


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
        parameters: in NumPy.
        inputs: (T, B, I); step t = 1…T reads inputs[t − 1].
        states: per state name (T + 1, B, H); index t is the state after t steps.
        space: where inputs and states live.
    """

    cell: Cell
    parameters: Parameters
    inputs: Array
    states: tuple[Array, ...]
    space: Space

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

    def state(self, t: int) -> tuple[Array, ...]:
        """The state after t steps, a tuple of (B, H)."""
        return tuple(state[t] for state in self.states)

    def jacobian(self, t: int) -> Array:
        """J_t = ∂s_t/∂s_{t−1}, (B, S, S), t = 1…T; in NumPy alone."""
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
        device: "cpu" (NumPy); "cuda", "cuda:N" (torch, on that device) and "torch" (the same code on the
            processor).

    Raises:
        UnknownName: (a KeyError) no such cell.
        ValueError: shapes that do not fit, T = 0, NaN or inf in an array (named, with the first index), a
            dtype or device that there is not, here; a cell without a structured form, on a device.
        ForwardDiverged: a state became inf or NaN, with the step.
    """
    definition = cell if isinstance(cell, Cell) else CELLS[cell]
    space = space_for(device, dtype)
    definition.check_parameters(parameters)
    check_finite(parameters.arrays())
    inputs = _checked_inputs(inputs, parameters)
    state = _checked_state(definition, initial_state, inputs.shape[1], parameters.hidden_size)
    parameters = parameters.astype(dtype)
    inputs = space.put(inputs[:steps])
    start = tuple(space.put(array) for array in state)
    states = tuple(space.zeros((len(inputs) + 1, *array.shape)) for array in start)
    trajectory = Trajectory(definition, parameters, inputs, states, space)
    _run(trajectory, start)
    return trajectory


def _run(trajectory: Trajectory, state: tuple[Array, ...]) -> None:
    """Fill in the states."""
    step = one_step(trajectory.cell, trajectory.parameters, trajectory.space)
    for kept, array in zip(trajectory.states, state, strict=True):
        kept[0] = array
    # Divergence is looked for and reported with its step; NumPy's warnings would only say that it happened.
    with np.errstate(all="ignore"), threads_for(trajectory.hidden_size):
        for start in range(0, trajectory.seq_len, STEPS_AT_ONCE):
            products = step.input_products(trajectory.inputs[start : start + STEPS_AT_ONCE])
            step.run(products, [kept[start : start + 1 + len(products)] for kept in trajectory.states])
            _check_diverged(trajectory, start + 1, start + 1 + len(products))


def _check_diverged(trajectory: Trajectory, start: int, stop: int) -> None:
    """Raise ForwardDiverged for the first of the steps start…stop−1 at which a state is not finite."""
    xp = trajectory.space.xp
    if all(bool(xp.isfinite(states[start:stop]).all()) for states in trajectory.states):
        return
    found = []
    for place, states in enumerate(trajectory.states):
        bad = np.argwhere(~np.isfinite(trajectory.space.get(states[start:stop])))
        found += [(int(bad[0, 0]), place, int(bad[0, 1]))] if len(bad) else []
    step, place, sample = min(found)
    raise ForwardDiverged(trajectory.cell.name, trajectory.cell.state_names[place], start + step, sample)


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
