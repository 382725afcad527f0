"""Handwritten digits read as a sequence: what both ways of reading them share.

Scikit-learn carries the images in its wheel, so that nothing has to be downloaded: 1797 of 8 × 8 pixels, ten
classes, the test set of the UCI repository's "Optical recognition of handwritten digits".
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from harness.training.model import Batch
from harness.training.objectives import Objective, cross_entropy
from harness.training.tasks.task import HELD_OUT, Array, Score, Task

SIZE, CLASSES = 8, 10


class Digits(Task):
    """Which of ten digits is it?  Read at the last step, of the image and then noise: an image takes SIZE²/I
    steps, all further ones are N(0, 1) and say nothing, so that a longer T asks for a longer memory.

    Any class costs ln 10 (the classes are equally frequent to 3 %).  Learned from: the first half of the
    images in the order of the file; held out: the second, each image once, from other writers.  That is the
    cut of scikit-learn's own example, "Recognizing hand-written digits".  Solved: fewer than 10 % of the
    held-out digits wrong; logistic regression that sees the whole image at once has 6.6 % wrong.

    Source: the digits Alpaydin & Kaynak 1998, "Cascading classifiers"; images as sequences Le, Jaitly &
    Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units", section 4.2; noise
    after them Chang et al. 2019, "AntisymmetricRNN", section 5.3.
    """

    output_size = CLASSES
    criterion = "fewer than 10 % of the held-out digits wrong"

    @property
    def objective(self) -> Objective:
        return cross_entropy

    def why_unavailable(self) -> str | None:
        if importlib.util.find_spec("sklearn") is not None:
            return None
        return f"task {self.name} reads scikit-learn's digits: pip install '.[digits]'"

    def batch(self, rng: np.random.Generator, seq_len: int, batch_size: int) -> Batch:
        self.check(seq_len)
        images, classes = _cut()[0]
        chosen = rng.integers(0, len(images), batch_size)
        return self._read(rng, seq_len, images[chosen], classes[chosen])

    def held_out(self, seq_len: int, *, sequences: int, batch_size: int, seed: int) -> Iterator[Batch]:
        self.check(seq_len)
        images, classes = _cut()[1]
        for place, start in enumerate(range(0, min(sequences, len(images)), batch_size)):
            rng = np.random.default_rng([seed, HELD_OUT, place])
            part = slice(start, min(start + batch_size, sequences))
            yield self._read(rng, seq_len, images[part], classes[part])

    def _read(self, rng: np.random.Generator, seq_len: int, images: Array, classes: Array) -> Batch:
        """(B, 8, 8) -> (T, B, I): rows of pixels from left to right, top to bottom, then noise."""
        steps = images.reshape(len(images), -1, self.input_size).swapaxes(0, 1)
        noise = rng.standard_normal((seq_len - len(steps), len(images), self.input_size))
        return Batch(np.concatenate([steps, noise]), classes[None])

    def baseline(self, seq_len: int) -> float:
        return float(np.log(CLASSES))

    def wrong(self, predictions: Array, targets: Array) -> Any:
        return predictions.argmax(axis=2) != targets

    def solved(self, score: Score) -> bool:
        return score.error_rate < 0.1


@lru_cache(maxsize=1)
def _cut() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Images (N, 8, 8) in [0, 1] and their classes (N,): those to learn from, and those held out."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, classes = found.images / 16.0, found.target.astype(np.int64)
    half = len(images) // 2
    return (images[:half], classes[:half]), (images[half:], classes[half:])
