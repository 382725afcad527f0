"""The spectral radius of recurrent weights, of a gated cell that of the part that a simple RNN has alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implementations.registry import CELLS

CANDIDATES = ("g", "n")
"""What cells call the gate that proposes the new content, as a simple RNN does with the whole of its W_hh."""


def recurrent_radius(cell: str, weight_hh: NDArray[np.float64]) -> float | None:
    """max |λ| of W_hh, of a gated cell of the block of its candidate (g of an LSTM, n of a GRU).

    None where a cell has gates and none of them is called so, and where an entry is not finite.
    """
    known = CELLS[cell]
    candidates = known.gates if len(known.gates) == 1 else [q for q in known.gates if q in CANDIDATES]
    return spectral_radius(known.gate(weight_hh, candidates[0])) if len(candidates) == 1 else None


def spectral_radius(weight_hh: NDArray[np.float64]) -> float | None:
    """max |λ| of a matrix; None where it is not square, or not finite."""
    rows, columns = weight_hh.shape
    if rows != columns or not np.isfinite(weight_hh).all():
        return None
    return float(np.abs(np.linalg.eigvals(weight_hh)).max())
