"""What a task is: batches, the loss of whoever does not remember, and when it counts as solved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.training.model import Batch
from harness.training.objectives import Objective
from implementations.registry import Registry

Array = NDArray[Any]

HELD_OUT = 8
"""Name of the random stream of held-out sequences."""


@dataclass(frozen=True)
class Score:
    """On sequences that no step learned from: the mean loss, and the share of answers that are wrong."""

    loss: float
    error_rate: float


class Task(ABC):
    """`input_size` I and `output_size` O; `criterion` says in words when :meth:`solved` is true."""

    name: ClassVar[str]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    criterion: ClassVar[str]
    shortest: ClassVar[int]
    """The smallest T for which the task is defined."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """Of predictions and targets."""

    @abstractmethod
    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        """Fresh sequences.

        Raises:
            ValueError: a T below `shortest`.
        """

    def held_out(self, seq_len: int, *, sequences: int, batch_size: int, seed: int) -> Iterator[Batch]:
        """At most `sequences` that no step learns from, equal for equal arguments.

        Where sequences are drawn there are always fresh ones; a task over finite data keeps some of it apart.
        """
        for place, start in enumerate(range(0, sequences, batch_size)):
            size = min(batch_size, sequences - start)
            yield self.batch(np.random.default_rng([seed, HELD_OUT, place]), seq_len, size)

    def why_unavailable(self) -> str | None:
        """Why its data cannot be had here, or None where they can."""
        return None

    @abstractmethod
    def baseline(self, seq_len: int) -> float:
        """The expected loss of the best answer that does not look at the inputs."""

    @abstractmethod
    def wrong(self, predictions: Array, targets: Array) -> Array:
        """Which answers are wrong, booleans of any shape."""

    @abstractmethod
    def solved(self, score: Score) -> bool:
        """By the published criterion."""

    def check(self, seq_len: int) -> None:
        """Raise ValueError where T is too short for this task."""
        if seq_len < self.shortest:
            raise ValueError(f"task {self.name}: seq_len must be at least {self.shortest}, got {seq_len}")


TASKS: Registry[Task] = Registry("task", "harness.training.tasks", "rnn_harness.tasks")
