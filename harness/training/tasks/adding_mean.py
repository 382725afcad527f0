"""The adding problem, the mean version: the mean of the two numbers that are marked."""

from __future__ import annotations

import numpy as np

from harness.training.model import Batch
from harness.training.tasks.marked import MarkedNumbers, marked, pascanu_ranges, stretched
from harness.training.tasks.task import TASKS


class AddingMean(MarkedNumbers):
    """Inputs (value ~ U(0, 1), mark), T' ~ U{T, …, 1.1 T} of them; the target is the mean of the marked two.

    Always answering ½ costs Var((u + v)/2) = 1/24.  Solved: fewer than 1 % of the answers further off than
    0.04.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", supplement.
    """

    name = "adding_mean"
    shortest = 10

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        inputs, first, second = marked(rng, stretched(rng, seq_len), batch_size, *pascanu_ranges(seq_len))
        return Batch(inputs, ((first + second) / 2)[None, :, None])

    def baseline(self, seq_len: int) -> float:
        return 1 / 24


TASKS.register("adding_mean")(AddingMean())
