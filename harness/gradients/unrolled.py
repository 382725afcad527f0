"""A structure unrolled over time and depth: its forward pass kept, and rows pulled back through it.

Rows of ∂h^l_t/∂(anything) go down layer after layer from the top, in each layer step by step, by the cells'
analytic chain rule (`Cell.step_backward`).  With δ^m_k = ∂h^l_t/∂s^m_k, J^m_k = ∂s^m_k/∂s^m_{k−1} and
X^m_k = ∂s^m_k/∂z^m_k (z: what the layer reads, see :mod:`implementations.structure`),

    δ^m_k = δ^m_{k+1} J^m_{k+1} + [δ^m_{k+s} X^m_{k+s}]_h + (what arrives at h^m_k from the layer above),

the middle term where skip connections go back s steps.  From above arrives δ^{m+1}_k X^{m+1}_k, and with
residual connections also what arrives at y^{m+1}_k.  Rows carry exponents of their own, so that no lag under-
or overflows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.gradients.scaled import Scaled, add, beside
from harness.gradients.trajectory import ForwardDiverged
from implementations.contract import Cell, Parameters
from implementations.structure import Structure

Array = NDArray[Any]
AtStep = dict[int, Scaled]
"""Step 1…T -> rows (B, R, …) that arrive or depart there; a step that nothing reaches is absent."""


@dataclass(frozen=True)
class Side:
    """One layer in one direction, in the order of its own steps.

    Args:
        read: (T, B, I): what reaches it, skip connections included.
        states: per state name (T + 1, B, H).
        reverse: its step 1 is the last in time.
        skip: s.
    """

    cell: Cell
    parameters: Parameters
    read: Array
    states: tuple[Array, ...]
    reverse: bool
    skip: int

    def own(self, step: int) -> int:
        """A step in time as this side counts, and back."""
        return len(self.read) + 1 - step if self.reverse else step

    def back(self, arriving: AtStep) -> tuple[AtStep, AtStep]:
        """Rows by h in time -> the whole rows by every h_k, and what departs to the layer's input."""
        size, width = self.parameters.hidden_size, len(self.states) * self.parameters.hidden_size
        reading = self.read.shape[2] - (size if self.skip else 0)
        nodes: AtStep = {}
        below: AtStep = {}
        skipping: AtStep = {}
        carried: Scaled | None = None
        for k in range(len(self.read), 0, -1):
            by_h = (arriving.get(self.own(k)), skipping.pop(k, None))
            terms = [_padded(rows, width) for rows in by_h if rows is not None]
            terms += [carried] if carried is not None else []
            if not terms:
                continue
            rows = add(terms)
            nodes[self.own(k)] = _columns(rows, 0, size)
            read, carried = self._step_back(k, rows)
            below[self.own(k)] = _columns(read, 0, reading)
            if self.skip and k > self.skip:
                skipping[k - self.skip] = _columns(read, reading, None)
        return nodes, below

    def _step_back(self, k: int, rows: Scaled) -> tuple[Scaled, Scaled]:
        """Rows by s_k -> by what step k read, and by s_{k−1}."""
        samples, count, _ = rows.mantissa.shape
        flat = rows.mantissa.reshape(samples * count, -1)
        found = self.cell.step_backward(
            self.parameters,
            np.repeat(self.read[k - 1], count, axis=0),
            tuple(np.repeat(state[k - 1], count, axis=0) for state in self.states),
            tuple(np.split(flat, len(self.states), axis=1)),
        )
        both = (found.x, np.concatenate(found.state, axis=1))
        read, state = (
            Scaled(array.reshape(samples, count, -1), rows.exponent).normalised() for array in both
        )
        return read, state


def run(cell: Cell, structure: Structure, layers: Sequence[Parameters], inputs: Array) -> list[list[Side]]:
    """The forward pass, everything kept."""
    levels: list[list[Side]] = []
    below = inputs
    for first in range(0, len(layers), structure.directions):
        sides = [
            run_side(cell, layers[first + reverse], below, bool(reverse), structure.skip)
            for reverse in range(structure.directions)
        ]
        levels.append(sides)
        outputs = [side.states[0][1:] for side in sides]
        written = np.concatenate(
            [o[::-1] if s.reverse else o for s, o in zip(sides, outputs, strict=True)], 2
        )
        below = written + below if structure.adds(below.shape[2], written.shape[2]) else written
    return levels


def run_side(cell: Cell, parameters: Parameters, below: Array, reverse: bool, skip: int) -> Side:
    seq_len, batch_size, _ = below.shape
    given = below[::-1] if reverse else below
    states = tuple(np.zeros((seq_len + 1, batch_size, parameters.hidden_size)) for _ in cell.state_names)
    read = np.zeros((seq_len, batch_size, parameters.input_size))
    read[:, :, : given.shape[2]] = given
    with np.errstate(all="ignore"):  # divergence is reported with its step
        for k in range(1, seq_len + 1):
            if k > skip > 0:
                read[k - 1, :, given.shape[2] :] = states[0][k - skip]
            after = cell.step(parameters, read[k - 1], tuple(state[k - 1] for state in states))
            for name, state, array in zip(cell.state_names, states, after, strict=True):
                if not np.isfinite(array).all():
                    raise ForwardDiverged(cell.name, name, k, int(np.argwhere(~np.isfinite(array))[0, 0]))
                state[k] = array
    return Side(cell, parameters, read, states, reverse, skip)


def pull(levels: list[list[Side]], structure: Structure, t: int) -> Iterator[tuple[int, AtStep]]:
    """From the topmost layer's h_t down: each layer's number and ∂h_t/∂h_k of its nodes."""
    size = levels[0][0].parameters.hidden_size
    samples = levels[0][0].read.shape[1]
    wide = size * structure.directions
    arriving: AtStep = {t: Scaled.of(np.broadcast_to(np.eye(wide), (samples, wide, wide)).copy())}
    for number in range(len(levels), 0, -1):
        nodes: list[AtStep] = []
        below: list[AtStep] = []
        for place, side in enumerate(levels[number - 1]):
            part = {k: _columns(rows, place * size, (place + 1) * size) for k, rows in arriving.items()}
            own, departing = side.back(part)
            nodes.append(own)
            below.append(departing)
        yield number, _joined(nodes, beside)
        reading = next(iter(below[0].values())).mantissa.shape[2]
        if number < len(levels) and structure.adds(reading, wide):  # the topmost node is h, not y
            below.append(arriving)
        arriving = _joined(below, add)


def _joined(parts: list[AtStep], join: Callable[[list[Scaled]], Scaled]) -> AtStep:
    """Step by step what there is of the parts, joined."""
    steps = {k for part in parts for k in part}
    return {k: join([part[k] for part in parts if k in part]) for k in steps}


def _columns(rows: Scaled, first: int, last: int | None) -> Scaled:
    return Scaled(rows.mantissa[..., first:last], rows.exponent).normalised()


def _padded(rows: Scaled, width: int) -> Scaled:
    """Rows by h as rows by the whole state, h first."""
    missing = width - rows.mantissa.shape[2]
    return Scaled(np.pad(rows.mantissa, ((0, 0), (0, 0), (0, missing))), rows.exponent)
