"""Sequences of numbers, two of them marked: what adding and multiplication read."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.training.objectives import Objective, squared_error
from harness.training.tasks.task import Array, Score, Task


class MarkedNumbers(Task):
    """Inputs (value ~ U(0, 1), mark) and one number to answer, wrong where it is further off than 0.04."""

    input_size, output_size = 2, 1
    criterion = "fewer than 1 % of the answers further off than 0.04"

    @property
    def objective(self) -> Objective:
        return squared_error

    def wrong(self, predictions: Array, targets: Array) -> Any:
        return np.abs(predictions - targets) > 0.04

    def solved(self, score: Score) -> bool:
        return score.error_rate < 0.01


def marked(
    rng: np.random.Generator,
    seq_len: int,
    batch_size: int,
    first: tuple[int, int],
    second: tuple[int, int],
) -> tuple[Array, Array, Array]:
    """Inputs (T, B, 2): a value ~ U(0, 1), and 1 where it is marked; the two marked values, (B,) each.

    Args:
        first, second: the ranges [from, to) of the two marks; they do not overlap.
    """
    inputs = np.zeros((seq_len, batch_size, 2))
    inputs[:, :, 0] = rng.random((seq_len, batch_size))
    samples = np.arange(batch_size)
    values = []
    for low, high in (first, second):
        places = rng.integers(low, high, batch_size)
        inputs[places, samples, 1] = 1.0
        values.append(inputs[places, samples, 0])
    return inputs, values[0], values[1]


def pascanu_ranges(seq_len: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """One mark in the first tenth, the other between there and the middle.

    Source: Martens & Sutskever 2011, "Learning recurrent neural networks with Hessian-free optimization",
    section 5.1, and Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".
    """
    tenth = max(1, seq_len // 10)
    return (0, tenth), (tenth, max(tenth + 1, seq_len // 2))


def stretched(rng: np.random.Generator, seq_len: int) -> int:
    """A length T' ~ U{T, …, 11T/10}, so that the end of a sequence is no fixed step."""
    return int(rng.integers(seq_len, seq_len + seq_len // 10, endpoint=True))
