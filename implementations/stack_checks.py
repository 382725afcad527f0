"""The argument checks of stacked layers, beyond those that each layer makes: of shapes and dtypes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from implementations.checks import check_flag, check_real
from implementations.contract import Cell, Native, Parameters, State
from implementations.structure import Structure

Sizes = tuple[int, ...]


def check_layers(
    layers: Sequence[Parameters], *, bidirectional: bool = False, residual: bool = False, skip: int = 0
) -> Structure:
    """How the layers are put together; a ValueError names the place of one that does not fit the others, or
    the option that is no such option, or that changes nothing."""
    if isinstance(layers, Parameters) or not isinstance(layers, Sequence):
        raise ValueError(f"layers must be a list of Parameters, got {type(layers).__name__}")
    for place, parameters in enumerate(layers):
        if not isinstance(parameters, Parameters):
            raise ValueError(f"layers[{place}] must be Parameters, got {type(parameters).__name__}")
    directions = 2 if check_flag("bidirectional", bidirectional) else 1
    if not layers or len(layers) % directions:
        raise ValueError(f"layers must be a multiple of {directions} direction(s), got {len(layers)}")
    structure = Structure(len(layers) // directions, bidirectional, residual, skip)
    hidden_size, past = layers[0].hidden_size, layers[0].hidden_size if skip else 0
    input_size = layers[0].input_size - past
    if input_size < 1:
        raise ValueError(
            f"layers[0] must have an input_size above its hidden_size {hidden_size}, got "
            f"{layers[0].input_size}: with skip connections the last {hidden_size} columns are theirs"
        )
    for place, wanted in enumerate(structure.widths(input_size, hidden_size)):
        parameters = layers[place]
        if (parameters.hidden_size, parameters.input_size) != (hidden_size, wanted):
            raise ValueError(
                f"layers[{place}] must have hidden_size {hidden_size} and input_size {wanted}, got "
                f"{parameters.hidden_size} and {parameters.input_size}"
            )
    if (reason := structure.why_nothing_is_added(input_size, hidden_size)) is not None:
        raise ValueError(reason)
    return structure


@dataclass(frozen=True)
class StackChecks:
    """What the arguments of one stack must look like.  Every failure is a ValueError that names the argument.

    Args:
        cell: the stack's.
        places: L·D, layers times directions.
        directions: D.
        hidden_size: H.
    """

    cell: Cell
    places: int
    directions: int
    hidden_size: int

    def state(self, argument: str, state: State | None, batch: Sizes) -> None:
        """A tuple of (L·D, B, H); `batch` is (B,)."""
        if state is None:
            return
        names = self.cell.state_names
        if not isinstance(state, tuple) or len(state) != len(names):
            got = f"{len(state)} arrays" if isinstance(state, tuple) else type(state).__name__
            raise ValueError(f"{argument} must be a tuple ({', '.join(names)},) of arrays, got {got}")
        expected = (self.places, *batch, self.hidden_size)
        for name, array in zip(names, state, strict=True):
            if tuple(np.shape(array)) != expected:
                raise ValueError(
                    f"{argument} {name} must be (L·D, B, H) = {expected}, got {tuple(np.shape(array))}"
                )
            check_real(f"{argument} {name}", array)

    def output(self, argument: str, array: Native | None, sizes: Sizes) -> None:
        """(T, B, D·H), or None; `sizes` is (T, B)."""
        expected = self._wide(sizes)
        if array is None:
            return
        if tuple(np.shape(array)) != expected:
            raise ValueError(f"{argument} must be (T, B, D·H) = {expected}, got {tuple(np.shape(array))}")
        check_real(argument, array)

    def masks(self, masks: Sequence[Native] | None, sizes: Sizes) -> Sequence[Native]:
        """L − 1 arrays (T, B, D·H), as they came; none where None."""
        if masks is None:
            return ()
        between, expected = self.places // self.directions - 1, self._wide(sizes)
        shapes = [tuple(np.shape(mask)) for mask in masks]
        if shapes != [expected] * between:
            raise ValueError(f"masks must be {between} of (T, B, D·H) = {expected}, got {shapes}")
        return masks

    def _wide(self, sizes: Sizes) -> Sizes:
        return (*sizes, self.directions * self.hidden_size)
