"""Any step function: its Jacobians by torch.func, and from there on the same engine.

The function becomes a cell that is in no registry.  The engine asks a cell for its step and its one-step
Jacobian and multiplies with exponents of its own, so that these products are as exact as those of any other
cell; only the Jacobian of one step is had by automatic differentiation instead of by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.analysis.analysis import Analysis, analysis_of
from harness.analysis.checkpoint import data_for_networks
from harness.analysis.modules import as_numpy, checked_inputs
from harness.analysis.networks import Network, cut_where_it_diverges
from harness.analysis.settings import Settings
from harness.analysis.weights import Array, check_finite
from implementations.contract import Cell, Parameters, StepGradients

Step = Callable[[Any, Any, Any], Any]
STATE_NAMES = "hcdefgijklmnopqruvwxyz"
"""One letter per part of a state, as blocks are named by two; s stands for the whole."""


def analyze_step(
    fn: Step, parameters: Any, inputs: Any, state: Any, *, settings: Settings | None = None
) -> Analysis:
    """How far gradients reach through any recurrent step.

    Args:
        fn: fn(parameters, x, state) -> state, in torch.  With a state of (B, H) it is given x (B, I) and the
            states of all samples; with a state of (H,) it is written for one sample alone, and is mapped
            over the samples.
        parameters: whatever `fn` wants as its first argument; floating-point tensors in it (itself, or in
            a dict, list or tuple) are used in float64.
        inputs: (T, B, I), or (T, I) for one sample.
        state: the initial one, a tensor or a tuple of tensors; what `fn` returns must be alike.

    Raises:
        ValueError: shapes that do not fit; `fn` returns another structure than `state`.
        UserError: NaN or inf.

    Example:
        >>> def step(w, x, h):
        ...     return torch.tanh(h @ w.T + x)
        >>> analyze_step(step, torch.randn(16, 16) / 4, torch.randn(100, 4, 16), torch.zeros(4, 16)).summaries
    """
    import torch

    array = checked_inputs(as_numpy(inputs))
    parts = state if isinstance(state, tuple) else (state,)
    given = [torch.as_tensor(as_numpy(part)) for part in parts]
    mapped = bool(given) and given[0].ndim == 1
    if not given or any(part.ndim != (1 if mapped else 2) for part in given):
        shapes = [tuple(part.shape) for part in given]
        raise ValueError(f"state must be one or several tensors, all (B, H) or all (H,), got shapes {shapes}")
    cell = FunctionCell(
        fn, _double(parameters), [int(p.shape[-1]) for p in given], isinstance(state, tuple), mapped
    )
    start = cell.packed([_batched(part.double().numpy(), array.shape[1]) for part in given])
    for name, part in zip(cell.state_names, start, strict=True):
        check_finite("state", name, part)
    cell.check(array[0], start)
    network = cut_where_it_diverges(
        Network(cell.name, cell, cell.stand_in(array.shape[2]), array, start, (cell.words,))
    )
    facts = [("Step", cell.name), ("State", cell.words), ("Data", data_for_networks([network]))]
    call = "analyze_step(fn, parameters, inputs, state)"
    return analysis_of(cell.name, facts, [network], settings or Settings(), call)


class FunctionCell(Cell):
    """A step function as a cell; `Parameters` are a stand-in that only carry the sizes.

    Parts of a state that are equally wide are states of their own, with a letter each; parts of several
    widths are laid end to end as one state h.
    """

    gates = ("a",)

    def __init__(
        self, fn: Step, parameters: Any, widths: Sequence[int], is_tuple: bool, mapped: bool
    ) -> None:
        self.name = str(getattr(fn, "__name__", type(fn).__name__))
        self._fn, self._given, self._widths = fn, parameters, list(widths)
        self._is_tuple, self._mapped = is_tuple, mapped
        self._whole = len(set(widths)) > 1 or len(widths) > len(STATE_NAMES)
        self.state_names = ("h",) if self._whole else tuple(STATE_NAMES[: len(widths)])

    @property
    def words(self) -> str:
        """How the state is seen."""
        if self._whole:
            return f"parts of widths {', '.join(map(str, self._widths))}, seen as one state h"
        return f"({', '.join(self.state_names)}), each {self._widths[0]} wide"

    def stand_in(self, input_size: int) -> Parameters:
        """Parameters of this cell's sizes, all zero."""
        size = sum(self._widths) if self._whole else self._widths[0]
        arrays = {name: np.zeros(shape) for name, shape in self.parameter_shapes(input_size, size).items()}
        return Parameters.from_arrays(arrays)

    def packed(self, parts: Sequence[Array]) -> tuple[Array, ...]:
        """The function's parts as this cell's states, (B, H) each."""
        return (np.concatenate(parts, axis=1),) if self._whole else tuple(parts)

    def check(self, x: Array, state: tuple[Array, ...]) -> None:
        """Raise ValueError unless one step returns what it was given, in structure and shape."""
        found = self._call(_tensor(x), [_tensor(part) for part in self._parts(state)])
        got = [tuple(part.shape[1:]) for part in found]
        if got != [(width,) for width in self._widths]:
            raise ValueError(
                f"{self.name} must return a state like the one that it was given, "
                f"widths {self._widths}, got {[list(shape) for shape in got]}"
            )

    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        found = self._call(_tensor(x), [_tensor(part) for part in self._parts(state)])
        return self.packed([part.detach().numpy() for part in found])

    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        import torch

        def one(x: Any, *parts: Any) -> tuple[Any, ...]:
            return tuple(part[0] for part in self._call(x[None], [part[None] for part in parts]))

        places = tuple(range(1, 1 + len(self._widths)))
        jacobian = torch.func.vmap(torch.func.jacrev(one, argnums=places))
        rows = jacobian(_tensor(x), *[_tensor(part) for part in self._parts(state)])
        return np.asarray(torch.cat([torch.cat(row, dim=-1) for row in rows], dim=-2).detach().numpy())

    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        """dL/dx and dL/dstate; the function's own parameters have no names here."""
        import torch

        def both(x: Any, *parts: Any) -> tuple[Any, ...]:
            return tuple(self._call(x, list(parts)))

        pull = torch.func.vjp(both, _tensor(x), *[_tensor(part) for part in self._parts(state)])[1]
        grads = pull(tuple(_tensor(part) for part in self._parts(grad_state)))
        to_x, *to_state = (grad.detach().numpy() for grad in grads)
        return StepGradients(to_x, self.packed(to_state), {})

    def _parts(self, state: tuple[Array, ...]) -> list[Array]:
        if not self._whole:
            return list(state)
        return np.split(state[0], np.cumsum(self._widths)[:-1], axis=1)

    def _call(self, x: Any, parts: list[Any]) -> list[Any]:
        """The function on (B, I) and (B, H) tensors."""
        import torch

        def alone(x: Any, *parts: Any) -> tuple[Any, ...]:
            return self._unpacked(self._fn(self._given, x, tuple(parts) if self._is_tuple else parts[0]))

        return list(torch.func.vmap(alone)(x, *parts) if self._mapped else alone(x, *parts))

    def _unpacked(self, found: Any) -> tuple[Any, ...]:
        parts = tuple(found) if isinstance(found, tuple | list) else (found,)
        if isinstance(found, tuple | list) != self._is_tuple or len(parts) != len(self._widths):
            wanted = f"a tuple of {len(self._widths)} tensors" if self._is_tuple else "one tensor"
            got = (
                f"{len(parts)} in a {type(found).__name__}" if isinstance(found, tuple | list) else "a tensor"
            )
            raise ValueError(f"{self.name} must return {wanted}, as its state is, got {got}")
        return parts


def _tensor(array: Array) -> Any:
    import torch

    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float64)


def _batched(part: Array, batch_size: int) -> Array:
    """A state of one sample, repeated; one of all samples as it is."""
    if part.ndim == 1:
        return np.tile(part, (batch_size, 1))
    if len(part) != batch_size:
        raise ValueError(f"state must be (B, H) with B = {batch_size} as the inputs have, got {part.shape}")
    return part


def _double(parameters: Any) -> Any:
    """Floating-point tensors, wherever they stand in nested containers, in float64 on the processor."""
    import torch

    if isinstance(parameters, torch.Tensor):
        found = parameters.detach().cpu()
        return found.double() if found.is_floating_point() else found
    if isinstance(parameters, Mapping):
        return {key: _double(value) for key, value in parameters.items()}
    if isinstance(parameters, list | tuple) and not hasattr(parameters, "_fields"):
        return type(parameters)(_double(value) for value in parameters)
    return parameters
