"""What the structured steps need of each step, computed for a chunk of steps at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.gradients.onestep import CompiledStep, OneStep, one_step, squared_norms
from harness.gradients.trajectory import Trajectory

Native = Any

LONGEST_CHUNK = 256


class Slopes:
    """What `OneStep.pull` needs of one step after another: vectors, for many steps at a time.

    Args:
        ascending: whether steps will be asked for from the oldest to the newest, or the other way.
    """

    def __init__(self, trajectory: Trajectory, *, ascending: bool = False) -> None:
        self._trajectory = trajectory
        self.step: OneStep = one_step(trajectory.cell, trajectory.parameters, trajectory.space)
        vectors = trajectory.batch_size * trajectory.parameters.weight_hh.shape[0] * 8 * 2
        self._chunks = _Chunks(trajectory.space.chunk_bytes // vectors, ascending)
        self._kept: tuple[Native, ...] = ()

    def at(self, t: int) -> tuple[tuple[Native, ...], range]:
        """The slopes of a chunk of steps that has t in it, and which steps those are."""
        if self._chunks.moved_to(t, range(1, self._trajectory.seq_len + 1)):
            past = slice(self._chunks.steps.start - 1, self._chunks.steps.stop - 1)
            states = tuple(state[past] for state in self._trajectory.states)
            self._kept = self.step.slopes(self._trajectory.inputs[past], states)
        return self._kept, self._chunks.steps

    def of(self, t: int) -> tuple[Native, ...]:
        """What `pull` needs of step t, (B, …) each."""
        kept, steps = self.at(t)
        return tuple(array[t - steps.start] for array in kept)


class Factors:
    """What `OneStep.apply` and `dense` need: matrices too, which are made for a few steps at a time.

    Args:
        ascending: see `Slopes`.
    """

    def __init__(self, trajectory: Trajectory, *, ascending: bool = False) -> None:
        self._slopes = Slopes(trajectory, ascending=ascending)
        self.step = self._slopes.step
        matrices = self.step.matrices_per_step * trajectory.batch_size * trajectory.hidden_size**2 * 8
        self._chunks = _Chunks(trajectory.space.chunk_bytes // max(1, matrices), ascending)
        self._kept: tuple[Native, ...] = ()

    def at(self, t: int) -> tuple[tuple[Native, ...], int]:
        """The factors of a chunk of steps, and the place of J_t in it."""
        if t not in self._chunks.steps:
            slopes, there = self._slopes.at(t)
            self._chunks.moved_to(t, there)
            steps = self._chunks.steps
            some = slice(steps.start - there.start, steps.stop - there.start)
            self._kept = self.step.combine(tuple(slope[some] for slope in slopes))
        return self._kept, t - self._chunks.steps.start

    def stretch(
        self, columns: Sequence[Native], newest: int, places: Sequence[int], memory: Sequence[Native]
    ) -> Native:
        """Rows of P through J_newest, J_newest−1, … in plain numbers, one step for each place.

        Args:
            columns: (B, R, H) for each state.
            places: where in `memory` the rows lie after each step.
            memory: (slots, B, R, H) for each state, to be written to.

        Returns:
            The squared norms of the rows in all of `memory`, (states, slots, B, R); any numbers where there
            are none.
        """
        if not isinstance(self.step, CompiledStep):
            for t, place in zip(range(newest, newest - len(places), -1), places, strict=True):
                columns = self.step.apply(columns, *self.at(t), [part[place] for part in memory])
            return squared_norms(self.step.space.xp, memory)
        squares = np.empty((len(memory), *memory[0].shape[:-1]))
        while len(places) > 0:
            slopes, there = self._slopes.at(newest)
            now, places = places[: newest - there.start + 1], places[newest - there.start + 1 :]
            self.step.stretch(columns, slopes, newest - there.start, now, memory, squares)
            columns, newest = [part[now[-1]] for part in memory], newest - len(now)
        return squares


class _Chunks:
    """So many steps at a time, in one direction."""

    def __init__(self, length: int, ascending: bool) -> None:
        self._length, self._ascending = max(1, min(LONGEST_CHUNK, length)), ascending
        self.steps = range(0)

    def moved_to(self, t: int, within: range) -> bool:
        """On to the chunk that begins, in this direction, with t; False where t is in this one."""
        if t in self.steps:
            return False
        if self._ascending:
            self.steps = range(t, min(within.stop, t + self._length))
        else:
            self.steps = range(max(within.start, t - self._length + 1), t + 1)
        return True
