"""The temporal order problem: in which order did the two symbols come?"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.training.model import Batch
from harness.training.objectives import Objective, cross_entropy
from harness.training.tasks.task import TASKS, Array, Score, Task

RELEVANT, DISTRACTING = 2, 4


class TemporalOrder(Task):
    """Inputs, one-hot over six symbols: X or Y once in [T/10, 2T/10) and once in [4T/10, 5T/10), elsewhere
    one of four others.  The target is the class XX, XY, YX or YY, read at the last step.

    Any class costs ln 4.  Solved: fewer than 1 % of the sequences wrong.

    Source: Hochreiter & Schmidhuber 1997, task 6a; in this form Pascanu et al. 2013, "On the difficulty of
    training recurrent neural networks", section 4.1.1.
    """

    name = "temporal_order"
    input_size, output_size = RELEVANT + DISTRACTING, RELEVANT**2
    criterion = "fewer than 1 % of the sequences wrong"
    shortest = 10

    @property
    def objective(self) -> Objective:
        return cross_entropy

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        words = rng.integers(RELEVANT, self.input_size, (seq_len, batch_size))
        samples = np.arange(batch_size)
        order = rng.integers(0, RELEVANT, (2, batch_size))
        tenth = seq_len / 10
        for symbol, (low, high) in zip(order, ((1, 2), (4, 5)), strict=True):
            places = rng.integers(int(low * tenth), max(int(low * tenth) + 1, int(high * tenth)), batch_size)
            words[places, samples] = symbol
        return Batch(np.eye(self.input_size)[words], (RELEVANT * order[0] + order[1])[None])

    def baseline(self, seq_len: int) -> float:
        return float(np.log(self.output_size))

    def wrong(self, predictions: Array, targets: Array) -> Any:
        return predictions.argmax(axis=2) != targets

    def solved(self, score: Score) -> bool:
        return score.error_rate < 0.01


TASKS.register("temporal_order")(TemporalOrder())
