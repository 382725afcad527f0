"""Products of one-step Jacobians, walked from an anchor back into the past.

P(t, k) = J_t J_{t−1} … J_{k+1}: the newest factor stands on the left, so that one walk from t downwards
multiplies on the right and passes every lag on its way.  Only the rows that are asked for are carried (for
∂h_t/∂· of an LSTM: H of its 2H), and each row of each column block has an exponent of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.gradients.scaled import Scaled, add, beside
from harness.gradients.trajectory import Array, Trajectory
from implementations.contract import Cell
from implementations.registry import nearest


def block_names(cell: Cell) -> tuple[str, ...]:
    """The blocks of this cell's state Jacobian: later state, earlier state, as in "hc"; "ss" is all of it."""
    names = cell.state_names
    return (*(later + earlier for later in names for earlier in names), "ss")


def check_blocks(cell: Cell, blocks: Sequence[str]) -> tuple[str, ...]:
    """The blocks as a tuple.

    Raises:
        ValueError: none, or one that this cell does not have.
    """
    checked = (blocks,) if isinstance(blocks, str) else tuple(blocks)
    valid = block_names(cell)
    if not checked:
        raise ValueError(f"blocks must name at least one of {', '.join(valid)}, got none")
    for block in checked:
        if block not in valid:
            near = nearest(block, valid)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ValueError(f"{cell.name} has no block {block!r}{hint} (it has {', '.join(valid)})")
    return checked


class RowProduct:
    """Rows of P(t, k), as one :class:`Scaled` (B, R, H) per state that the columns belong to.

    Args:
        trajectory: the network.
        later: the states whose rows are carried; R = H·len(later).
    """

    def __init__(self, trajectory: Trajectory, later: Sequence[str]) -> None:
        self._names = trajectory.cell.state_names
        self._later = tuple(later)
        self._size = trajectory.hidden_size
        shape = (trajectory.batch_size, self._size, self._size)
        eye = np.broadcast_to(np.eye(self._size, dtype=trajectory.dtype), shape)
        zero = np.zeros(shape, trajectory.dtype)
        self._columns = [
            Scaled.of(np.concatenate([eye if row == column else zero for row in self._later], axis=1))
            for column in self._names
        ]

    def multiply(self, jacobian: Array) -> None:
        """P ← P·J, J (B, S, S)."""
        size = self._size
        places = [slice(i * size, (i + 1) * size) for i in range(len(self._names))]
        self._columns = [
            add(
                [
                    Scaled(part.mantissa @ jacobian[:, row, column], part.exponent).normalised()
                    for part, row in zip(self._columns, places, strict=True)
                ]
            )
            for column in places
        ]

    def block(self, name: str) -> Scaled:
        """One block, (B, H, H), or "ss", (B, S, S)."""
        if name == "ss":
            return beside(self._columns)
        start = self._later.index(name[0]) * self._size
        return self._columns[self._names.index(name[1])].rows(start, start + self._size)


def later_states(cell: Cell, blocks: Sequence[str]) -> tuple[str, ...]:
    """The states whose rows these blocks need, in the cell's order."""
    return tuple(name for name in cell.state_names if any(b == "ss" or b[0] == name for b in blocks))


def walk_back(trajectory: Trajectory, later: Sequence[str], longest: int) -> Iterator[tuple[int, RowProduct]]:
    """(lag, P(t, t − lag)) for lag = 0 … longest, t being the end of the trajectory.

    The product that is yielded is the same object each time: read it before going on.
    """
    product = RowProduct(trajectory, later)
    yield 0, product
    for lag in range(1, longest + 1):
        product.multiply(trajectory.jacobian(trajectory.seq_len - lag + 1))
        yield lag, product
