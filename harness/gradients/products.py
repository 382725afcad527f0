"""Products of one-step Jacobians, walked from an anchor back into the past.

P(t, k) = J_t J_{t−1} … J_{k+1}: the newest factor stands on the left, so that one walk from t downwards
multiplies on the right and passes every lag on its way.  Only the rows that are asked for are carried (for
∂h_t/∂· of an LSTM: H of its 2H), and each row of each column block has an exponent of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.gradients.scaled import Array, Scaled, add
from implementations.contract import Cell
from implementations.registry import did_you_mean


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
            hint = did_you_mean(block, valid)
            raise ValueError(f"{cell.name} has no block {block!r}{hint} (it has {', '.join(valid)})")
    return checked


def later_states(cell: Cell, blocks: Sequence[str]) -> tuple[str, ...]:
    """The states whose rows these blocks need, in the cell's order."""
    return tuple(name for name in cell.state_names if any(b == "ss" or b[0] == name for b in blocks))


@dataclass(frozen=True)
class RowProduct:
    """Rows of P(t, t − lag), with an exponent for each row of each block.

    Args:
        lag: t − k.
        columns: per earlier state (B, R, H), normalised.
    """

    lag: int
    columns: list[Scaled]

    def times(self, jacobian: Array) -> RowProduct:
        """P·J, J (B, S, S): the product at the next lag."""
        size = self.columns[0].mantissa.shape[-1]
        places = [slice(i * size, (i + 1) * size) for i in range(len(self.columns))]
        columns = [
            add(
                [
                    Scaled(part.mantissa @ jacobian[:, row, column], part.exponent).normalised()
                    for part, row in zip(self.columns, places, strict=True)
                ]
            )
            for column in places
        ]
        return RowProduct(self.lag + 1, columns)
