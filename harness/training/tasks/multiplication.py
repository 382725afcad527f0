"""The multiplication problem: the product of the two numbers that are marked."""

from __future__ import annotations

import numpy as np

from harness.training.model import Batch
from harness.training.tasks.marked import MarkedNumbers, marked, pascanu_ranges, stretched
from harness.training.tasks.task import TASKS


class Multiplication(MarkedNumbers):
    """Inputs (value ~ U(0, 1), mark), T' ~ U{T, …, 1.1 T} of them; the target is the product of the
    marked two.

    Always answering ¼ costs Var(u·v) = 1/9 − 1/16 = 7/144.  Solved: fewer than 1 % of the answers further off
    than 0.04.

    Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", task 5; lengths and marks as in
    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".
    """

    name = "multiplication"
    shortest = 10

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        inputs, first, second = marked(rng, stretched(rng, seq_len), batch_size, *pascanu_ranges(seq_len))
        return Batch(inputs, (first * second)[None, :, None])

    def baseline(self, seq_len: int) -> float:
        return 7 / 144


TASKS.register("multiplication")(Multiplication())
