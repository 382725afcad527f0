"""WHAT is measured: the same recurrent cells in several backends, behind one contract.

Nothing here imports ``harness``.  Importing this package loads neither torch nor numba: a backend's
heavy imports happen when :func:`load_backend` is called.
"""

from implementations.contract import (
    Backend,
    BackendUnavailable,
    Cell,
    Forward,
    Gradients,
    Layer,
    Parameters,
    StepGradients,
    TapeUsed,
    UnsupportedCase,
)
from implementations.registry import BACKENDS, CELLS, Registry, load_backend

__all__ = [
    "BACKENDS",
    "CELLS",
    "Backend",
    "BackendUnavailable",
    "Cell",
    "Forward",
    "Gradients",
    "Layer",
    "Parameters",
    "Registry",
    "StepGradients",
    "TapeUsed",
    "UnsupportedCase",
    "load_backend",
]
