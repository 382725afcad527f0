"""The copy memory problem: say ten symbols again, T steps later."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.training.model import Batch
from harness.training.objectives import Objective, cross_entropy
from harness.training.tasks.task import TASKS, Array, Score, Task

SYMBOLS, LENGTH = 8, 10
BLANK, SIGNAL = SYMBOLS, SYMBOLS + 1


class CopyMemory(Task):
    """Inputs, one-hot over 10 words and T + 20 steps long: ten symbols of eight, T − 1 blanks, a signal, ten
    blanks.  Targets: T + 10 blanks, then the ten symbols; every step is read.

    Blanks, and then any symbol, cost 10·ln 8/(T + 20).  Solved: fewer than 1 % of the ten symbols wrong.

    Source: Hochreiter & Schmidhuber 1997; in this form Arjovsky et al. 2016, "Unitary evolution recurrent
    neural networks", section 5.1.
    """

    name = "copy_memory"
    input_size, output_size = SYMBOLS + 2, SYMBOLS + 1
    criterion = "fewer than 1 % of the ten symbols wrong"
    shortest = 1

    @property
    def objective(self) -> Objective:
        return cross_entropy

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        symbols = rng.integers(0, SYMBOLS, (LENGTH, batch_size))
        words = np.full((seq_len + 2 * LENGTH, batch_size), BLANK)
        words[:LENGTH] = symbols
        words[LENGTH + seq_len - 1] = SIGNAL
        targets = np.full(words.shape, BLANK)
        targets[-LENGTH:] = symbols
        return Batch(np.eye(self.input_size)[words], targets)

    def baseline(self, seq_len: int) -> float:
        return LENGTH * float(np.log(SYMBOLS)) / (seq_len + 2 * LENGTH)

    def wrong(self, predictions: Array, targets: Array) -> Any:
        return predictions[-LENGTH:].argmax(axis=2) != targets[-LENGTH:]

    def solved(self, score: Score) -> bool:
        return score.error_rate < 0.01


TASKS.register("copy_memory")(CopyMemory())
