"""Text for training: what is learned from, what is held out, and windows of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.corpora import Corpus
from harness.training.model import Batch

Array = NDArray[Any]

HELD_OUT = 0.1
"""Share of the text, its end, that no training step sees."""


def split(corpus: Corpus, *, at_least: int = 1) -> tuple[Array, Array]:
    """The text to learn from and the text held out: whole files, its last ones, where it has several.

    The cut stands where a file begins, at the nearest such place that holds out a share of HELD_OUT or more;
    inside the file where there is one only, or where the last ones would be most of the text.

    Raises:
        ValueError: one of them would have fewer than `at_least` characters.
    """
    tokens = corpus.tokens
    cut = len(tokens) - max(at_least, round(HELD_OUT * len(tokens)))
    whole = max((start for start in corpus.starts if start <= cut), default=0)
    if whole >= len(tokens) / 2:
        cut = whole
    if cut < at_least:
        raise ValueError(
            f"the text must have at least {2 * at_least} characters, to learn from {at_least} and hold out "
            f"as many; got {len(tokens)}"
        )
    return tokens[:cut], tokens[cut:]


def windows(tokens: Array, length: int, count: int, rng: np.random.Generator) -> Array:
    """`count` windows of the text at random places, (length, count).

    Raises:
        ValueError: the text is shorter than a window.
    """
    if len(tokens) < length:
        raise ValueError(f"the text must have at least {length} characters, got {len(tokens)}")
    starts = rng.integers(0, len(tokens) - length, count, endpoint=True)
    return tokens[np.arange(length)[:, None] + starts]


def next_character(tokens: Array) -> Batch:
    """(T + 1, B) characters -> T inputs, and T targets one character later."""
    return Batch(tokens[:-1], tokens[1:])


def streams(tokens: Array, count: int) -> Batch:
    """The whole text as `count` long sequences side by side (what does not fill them is left out), each
    character predicted once from all before it in its stream.

    Raises:
        ValueError: a text shorter than two characters per stream.
    """
    length = (len(tokens) - 1) // count
    if length < 1:
        raise ValueError(f"the text must have at least {count + 1} characters, got {len(tokens)}")
    places = np.arange(count) * length + np.arange(length)[:, None]
    return Batch(tokens[places], tokens[places + 1])


def text_batches(tokens: Array, seq_len: int, batch_size: int, *, seed: int = 0) -> Callable[[int], Batch]:
    """The batch of a step, by its number: windows of the text at random places."""

    def batch_at(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        return next_character(windows(tokens, seq_len + 1, batch_size, rng))

    return batch_at
