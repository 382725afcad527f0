"""What a network is fed: white noise, nothing, or real text.

The three have the same scale (independent entries of unit variance, zeros apart), so that a difference
between noise and text is one of structure: characters repeat, and so do their vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.corpora import read_corpus

INPUT_KINDS = ("noise", "zeros", "text")
_NOISE, _WINDOWS, _EMBEDDING = 1, 2, 3
"""Names of the random streams, so that no two of them, nor the parameters', share their numbers."""


def make_inputs(
    kind: str,
    seq_len: int,
    batch_size: int,
    input_size: int,
    *,
    seed: int = 0,
    corpus: str | None = None,
) -> NDArray[np.float64]:
    """Inputs (T, B, I) in float64, equal for equal arguments.

    Args:
        kind: "noise" (white, N(0, 1)), "zeros", or "text": B windows of the corpus at random places, each
            character through :func:`embedding`.
        seed: of the noise, or of the places.
        corpus: a text file; None for the Python standard library's source.

    Raises:
        ValueError: an unknown kind, or a size below 1.
        UserError: the corpus cannot be used.
    """
    for name, size in (("seq_len", seq_len), ("batch_size", batch_size), ("input_size", input_size)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    shape = (seq_len, batch_size, input_size)
    match kind:
        case "noise":
            return np.random.default_rng([seed, _NOISE]).standard_normal(shape)
        case "zeros":
            return np.zeros(shape)
        case "text":
            return _text(shape, seed, corpus)
        case _:
            raise ValueError(f"unknown inputs {kind!r}; known: {', '.join(INPUT_KINDS)}")


def embedding(vocabulary_size: int, input_size: int) -> NDArray[Any]:
    """The fixed table (V, I) that characters pass through: N(0, 1), the same in every run.

    A row depends on the character's place in the vocabulary and on the width alone.
    """
    return np.random.default_rng([0, _EMBEDDING]).standard_normal((vocabulary_size, input_size))


def _text(shape: tuple[int, int, int], seed: int, corpus: str | None) -> NDArray[np.float64]:
    seq_len, batch_size, input_size = shape
    text = read_corpus(corpus, at_least=seq_len)
    last_start = len(text.tokens) - seq_len
    starts = np.random.default_rng([seed, _WINDOWS]).integers(0, last_start, batch_size, endpoint=True)
    windows = text.tokens[np.arange(seq_len)[:, None] + starts]
    return embedding(len(text.vocabulary), input_size)[windows]
