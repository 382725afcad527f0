"""Text for training: what is learned from, what is held out, and windows of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HELD_OUT = 0.1
"""Share of the text, its end, that no training step sees."""


def split(tokens: Array, *, at_least: int = 1) -> tuple[Array, Array]:
    """The text to learn from and the text held out.

    Raises:
        ValueError: one of them would have fewer than `at_least` characters.
    """
    first = len(tokens) - max(at_least, round(HELD_OUT * len(tokens)))
    if first < at_least:
        raise ValueError(
            f"the text must have at least {2 * at_least} characters, to learn from {at_least} and hold out "
            f"as many; got {len(tokens)}"
        )
    return tokens[:first], tokens[first:]


def windows(tokens: Array, length: int, count: int, rng: np.random.Generator) -> Array:
    """`count` windows of the text at random places, (length, count).

    Raises:
        ValueError: the text is shorter than a window.
    """
    if len(tokens) < length:
        raise ValueError(f"the text must have at least {length} characters, got {len(tokens)}")
    starts = rng.integers(0, len(tokens) - length, count, endpoint=True)
    return tokens[np.arange(length)[:, None] + starts]


def batches(tokens: Array, seq_len: int, batch_size: int, *, seed: int = 0) -> Iterator[Array]:
    """Windows of T + 1 characters for ever, (T + 1, B): T inputs, and T targets one character later."""
    rng = np.random.default_rng(seed)
    while True:
        yield windows(tokens, seq_len + 1, batch_size, rng)
