"""What the structured steps need of each step, computed for a chunk of steps at a time."""

from __future__ import annotations

from typing import Any

from harness.gradients.onestep import OneStep, one_step
from harness.gradients.trajectory import Trajectory

Native = Any

LONGEST_CHUNK = 256


class Factors:
    """The factors of one step after another.

    Args:
        ascending: whether steps will be asked for from the oldest to the newest, or the other way.
    """

    def __init__(self, trajectory: Trajectory, *, ascending: bool = False) -> None:
        self._trajectory, self._ascending = trajectory, ascending
        self.step: OneStep = one_step(trajectory.cell, trajectory.parameters, trajectory.space)
        matrix = trajectory.batch_size * trajectory.hidden_size**2 * 8
        vectors = trajectory.batch_size * trajectory.parameters.weight_hh.shape[0] * 8 * 8
        each = self.step.matrices_per_step * matrix + vectors
        self._chunk = max(1, min(LONGEST_CHUNK, trajectory.space.chunk_bytes // each))
        self._first, self._stop = 0, 0
        self._kept: tuple[Native, ...] = ()

    def at(self, t: int) -> tuple[tuple[Native, ...], int]:
        """The factors of a chunk of steps, and the place of J_t in it."""
        if not self._first <= t < self._stop:
            self._first = t if self._ascending else max(1, t - self._chunk + 1)
            self._stop = min(self._trajectory.seq_len, t + self._chunk - 1) + 1 if self._ascending else t + 1
            past = slice(self._first - 1, self._stop - 1)
            self._kept = self.step.factors(
                self._trajectory.inputs[past], tuple(state[past] for state in self._trajectory.states)
            )
        return self._kept, t - self._first
