"""Layers put together, of any backend's single ones: stacked, in both directions, with connections that skip.

A layer knows one cell in one direction.  Here the second direction is the same layer on samples turned
round, each within its own length; the next layer reads both directions' outputs side by side.  Names, order
and shapes are those of a `torch.nn.RNN`, `LSTM` or `GRU` with L layers and D directions.  What residual
connections and skip connections across time are says :mod:`implementations.structure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from implementations.checks import Tape, check_mapping, check_tape, check_update
from implementations.contract import Array, Backend, Forward, Gradients, Layer, Native, Parameters, State
from implementations.natively import Natively
from implementations.skip import SkipLayer
from implementations.stack_checks import StackChecks, check_layers
from implementations.structure import Structure


def bind_stack(
    backend: Backend,
    cell: str,
    layers: Sequence[Parameters],
    dtype: str,
    *,
    bidirectional: bool = False,
    residual: bool = False,
    skip: int = 0,
) -> Any:
    """A stack ready to run: by the backend's own `bind_stack` where it has one, else a :class:`Stack`.

    Args:
        layers: parameters in torch's order: layer by layer, of each the forward direction first.  With skip
            connections weight_ih has H further columns, those of h_{t−s}.
        residual, skip: as in :class:`~implementations.structure.Structure`.

    A stack with skips cannot run a sequence in parts: `final_state` does not carry h_{t−s+1…t}, and a pass
    begins with zeros in their place.

    Raises:
        ValueError: layers that do not fit each other, residual connections where none adds; and what
            `Backend.bind` raises.
        UnsupportedCase: the backend's own stacks have no such connections.
    """
    bind = getattr(backend, "bind_stack", None) or partial(Stack, backend)
    return bind(cell, layers, dtype, bidirectional=bidirectional, residual=residual, skip=skip)


def why_no_stack(backend: Backend, structure: Structure) -> str | None:
    """Why the backend's own stacks cannot be of this structure; None where they can, or are composed here."""
    why = getattr(backend, "why_no_stack", None)
    return None if why is None else why(structure)


class StackTape(Tape):
    """One tape per layer and direction, in their order, and what stood between them."""

    def __init__(
        self, stack: Any, sizes: tuple[int, int], lengths: Array | None, masks: Sequence[Native], tapes: list
    ) -> None:
        super().__init__(stack, *sizes)
        self.lengths = lengths
        self.masks = masks
        self.tapes: list[Any] = tapes


class Stack:
    """L layers of one cell in D directions, with the methods of a :class:`~implementations.contract.Layer`.

    What differs: the output is (T, B, D·H), a state is a tuple of (L·D, B, H), and the parameters' names
    end as torch's do (`weight_ih_l0`, `weight_ih_l0_reverse`, …).
    """

    def __init__(
        self,
        backend: Backend,
        cell: str,
        layers: Sequence[Parameters],
        dtype: str,
        *,
        bidirectional: bool = False,
        residual: bool = False,
        skip: int = 0,
    ) -> None:
        self.backend = backend
        self.dtype = dtype
        self.structure = check_layers(layers, bidirectional=bidirectional, residual=residual, skip=skip)
        self.directions = self.structure.directions
        bound = [backend.bind(cell, parameters, dtype) for parameters in layers]
        self.layers: list[Layer] = [SkipLayer(layer, skip) for layer in bound] if skip else bound
        self.cell = self.layers[0].cell
        self.hidden_size = layers[0].hidden_size
        self._natively = Natively(backend, dtype)
        self._checks = StackChecks(self.cell, len(layers), self.directions, self.hidden_size)

    @property
    def parameters(self) -> dict[str, Native]:
        """Name, with torch's ending -> native array."""
        return self._named([layer.parameters for layer in self.layers])

    def update(self, parameters: Mapping[str, Native]) -> None:
        """New values, of the same shapes, of all parameters; names end as torch's do.

        Raises:
            ValueError: a parameter is missing, unknown or of another shape.
        """
        own = self.parameters
        check_mapping(parameters, own)
        check_update(
            {name: np.shape(array) for name, array in own.items()},
            {name: np.shape(array) for name, array in parameters.items()},
        )
        for place, layer in enumerate(self.layers):
            end = self._ending(place)
            layer.update({name: parameters[name + end] for name in layer.parameters})

    def forward(
        self,
        inputs: Native,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        masks: Sequence[Native] | None = None,
        training: bool,
    ) -> Forward:
        """Run all layers over all T steps.

        Args:
            inputs: native (T, B, I).
            initial_state: native, tuple of (L·D, B, H) in `state_names` order; zeros where None.
            lengths: (B,) integers in 1…T, as of a layer.
            masks: L − 1 native arrays (T, B, D·H); each is multiplied onto one layer's output before the
                next layer reads it, and before what a residual connection adds (dropout).
            training: keep what a backward needs (`Forward.tape`).

        Raises:
            ValueError: a shape that does not fit; the message names the argument.
        """
        self._checks.state("initial_state", initial_state, np.shape(inputs)[1:2])
        masks = self._checks.masks(masks, np.shape(inputs)[:2])
        lengths = None if lengths is None else np.asarray(lengths)
        states, tapes, output = [], [], inputs
        for first, layers in self._levels():
            sides, read = [], output
            for place, layer in enumerate(layers, first):
                given = read if place == first else self._turned(read, lengths)
                state = _one(initial_state, place)
                passed = layer.forward(given, state, lengths=lengths, training=training)
                sides.append(passed.output if place == first else self._turned(passed.output, lengths))
                states.append(passed.final_state)
                tapes.append(passed.tape)
            output = sides[0] if len(sides) == 1 else self._natively(_beside, *sides)
            if first + len(layers) < len(self.layers) and masks:
                output = self._natively(_product, output, masks[first // self.directions])
            if self._adds(first):
                output = self._natively.sum(output, self._within(read, lengths))
        sizes = np.shape(output)[:2]
        tape = StackTape(self, sizes, lengths, masks, tapes) if training else None
        return Forward(output, self._stacked(states), tape)

    def backward(
        self, tape: Any, grad_output: Native | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        """The full chain rule: inputs, initial state, every parameter of every layer.

        Args:
            tape: of one `forward(…, training=True)` of this stack.
            grad_output: dL/d output (T, B, D·H); zeros where None.
            grad_final_state: dL/d final_state, tuple of (L·D, B, H); zeros where None.

        Raises:
            TapeUsed: the tape has served a backward before.
            ValueError: a shape that does not fit; the message names the argument.
        """
        check_tape(tape, self)  # type: ignore[arg-type]  # identity is all it asks
        self._checks.output("grad_output", grad_output, (tape.seq_len, tape.batch_size))
        self._checks.state("grad_final_state", grad_final_state, (tape.batch_size,))
        tape.used = True
        found: list[Gradients] = [None] * len(self.layers)  # type: ignore[list-item]  # filled below
        grad = grad_output
        for first, layers in reversed(self._levels()):
            around = self._within(grad, tape.lengths) if self._adds(first) else None
            if first + len(layers) < len(self.layers) and tape.masks:
                grad = self._natively(_product, grad, tape.masks[first // self.directions])
            for place, layer in enumerate(layers, first):
                arriving = self._side(grad, place - first, tape.lengths)
                found[place] = layer.backward(tape.tapes[place], arriving, _one(grad_final_state, place))
            grad = found[first].inputs
            if len(layers) == 2:
                grad = self._natively.sum(grad, self._turned(found[first + 1].inputs, tape.lengths))
            grad = self._natively.sum(grad, around)
        tape.tapes.clear()
        initial_state = self._stacked([gradients.initial_state for gradients in found])
        return Gradients(grad, initial_state, self._named([gradients.parameters for gradients in found]))

    def _levels(self) -> list[tuple[int, list[Layer]]]:
        """Of each of the L layers: the place of its first direction, and its directions."""
        firsts = range(0, len(self.layers), self.directions)
        return [(first, self.layers[first : first + self.directions]) for first in firsts]

    def _ending(self, place: int) -> str:
        layer, reverse = divmod(place, self.directions)
        return f"_l{layer}{'_reverse' if reverse else ''}"

    def _named(self, parts: Sequence[Mapping[str, Native]]) -> dict[str, Native]:
        ends = [(self._ending(place), part) for place, part in enumerate(parts)]
        return {name + end: array for end, part in ends for name, array in part.items()}

    def _adds(self, first: int) -> bool:
        """Whether the layer whose first direction has this place adds what it reads to what it puts out."""
        read = np.shape(self.layers[first].parameters["weight_ih"])[1]
        read -= self.hidden_size if self.structure.skip else 0
        return self.structure.adds(read, self.directions * self.hidden_size)

    def _within(self, native: Native | None, lengths: Array | None) -> Native | None:
        """With zeros beyond each sample's length, where no layer puts out anything else."""
        if native is None or lengths is None:
            return native
        seq_len, batch_size, width = np.shape(native)
        steps = np.arange(seq_len)[:, None]
        places = np.where(steps < lengths, steps, seq_len), np.arange(batch_size)

        def within(xp: Any, array: Any, zeros: Any) -> Any:  # no product: NaN times zero is NaN
            return xp.concatenate([array, zeros], axis=0)[places]

        return self._natively(within, native, self._natively.zeros((1, batch_size, width)))

    def _turned(self, native: Native, lengths: Array | None) -> Native:
        return self._natively(lambda xp, array: turned(array, lengths), native)

    def _side(self, grad: Native | None, side: int, lengths: Array | None) -> Native | None:
        """One direction's part of dL/d output, in the order of steps in which that direction ran."""
        if grad is None or self.directions == 1:
            return grad
        part = slice(side * self.hidden_size, (side + 1) * self.hidden_size)
        own = self._natively(lambda xp, array: array[:, :, part], grad)
        return self._turned(own, lengths) if side else own

    def _stacked(self, states: Sequence[State]) -> State:
        """A tuple of (B, H) for each place -> a tuple of (L·D, B, H)."""
        return tuple(self._natively(_joined, *each) for each in zip(*states, strict=True))


def turned(array: Any, lengths: Array | None) -> Any:
    """(T, B, …) with each sample's steps in reverse; beyond its length they stay where they are."""
    seq_len, batch_size = array.shape[:2]
    if lengths is None:
        return array[np.arange(seq_len)[::-1].copy()]
    steps = np.arange(seq_len)[:, None]
    return array[np.where(steps < lengths, lengths - 1 - steps, steps), np.arange(batch_size)]


def _product(xp: Any, a: Any, b: Any) -> Any:
    return a * b


def _beside(xp: Any, *sides: Any) -> Any:
    return xp.concatenate(sides, axis=2)


def _joined(xp: Any, *states: Any) -> Any:
    return xp.stack(states)


def _one(state: State | None, place: int) -> State | None:
    """The state (B, H) of one layer and direction."""
    return None if state is None else tuple(array[place] for array in state)
