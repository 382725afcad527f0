"""The adding problem, the sum version: add the two numbers that are marked."""

from __future__ import annotations

import numpy as np

from harness.training.model import Batch
from harness.training.tasks.marked import MarkedNumbers, marked
from harness.training.tasks.task import TASKS, Score


class Adding(MarkedNumbers):
    """Inputs (value ~ U(0, 1), mark); one mark in each half; the target is the sum, read at the last step.

    Always answering 1 costs Var(u + v) = 1/6.  Solved: a mean squared error below 0.01.

    Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", task 4; marks as in Arjovsky et al. 2016,
    "Unitary evolution recurrent neural networks", section 5.2.
    """

    name = "adding"
    criterion = "mean squared error below 0.01"
    shortest = 2

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        half = seq_len // 2
        inputs, first, second = marked(rng, seq_len, batch_size, (0, half), (half, seq_len))
        return Batch(inputs, (first + second)[None, :, None])

    def baseline(self, seq_len: int) -> float:
        return 1 / 6

    def solved(self, score: Score) -> bool:
        return score.loss < 0.01


TASKS.register("adding")(Adding())
