"""What the structured steps need of each step, computed for a chunk of steps at a time."""

from __future__ import annotations

from typing import Any

from harness.gradients.onestep import OneStep, one_step
from harness.gradients.trajectory import Trajectory

Native = Any

LONGEST_CHUNK = 256


class Factors:
    """The factors of one step after another: what `OneStep.apply` and `dense` need.

    Args:
        ascending: whether steps will be asked for from the oldest to the newest, or the other way.
    """

    def __init__(self, trajectory: Trajectory, *, ascending: bool = False) -> None:
        self._trajectory, self._ascending = trajectory, ascending
        self.step: OneStep = one_step(trajectory.cell, trajectory.parameters, trajectory.space)
        self._chunk = max(1, min(LONGEST_CHUNK, trajectory.space.chunk_bytes // self._bytes_per_step()))
        self._first, self._stop = 0, 0
        self._kept: tuple[Native, ...] = ()

    def at(self, t: int) -> tuple[tuple[Native, ...], int]:
        """The factors of a chunk of steps, and the place of J_t in it."""
        if not self._first <= t < self._stop:
            self._first = t if self._ascending else max(1, t - self._chunk + 1)
            self._stop = min(self._trajectory.seq_len, t + self._chunk - 1) + 1 if self._ascending else t + 1
            past = slice(self._first - 1, self._stop - 1)
            self._kept = self._computed(
                self._trajectory.inputs[past], tuple(state[past] for state in self._trajectory.states)
            )
        return self._kept, t - self._first

    def _computed(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        return self.step.factors(inputs, states)

    def _bytes_per_step(self) -> int:
        return self._vectors() + self.step.matrices_per_step * self._trajectory.batch_size * (
            8 * self._trajectory.hidden_size**2
        )

    def _vectors(self) -> int:
        return self._trajectory.batch_size * self._trajectory.parameters.weight_hh.shape[0] * 8 * 8


class Slopes(Factors):
    """The same for `OneStep.pull`: vectors alone."""

    def of(self, t: int) -> tuple[Native, ...]:
        """What `pull` needs of step t, (B, …) each."""
        kept, place = self.at(t)
        return tuple(array[place] for array in kept)

    def _computed(self, inputs: Native, states: tuple[Native, ...]) -> tuple[Native, ...]:
        return self.step.slopes(inputs, states)

    def _bytes_per_step(self) -> int:
        return self._vectors()
