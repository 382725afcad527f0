"""Counting language models: what recurrent networks replaced, with their memory.

The probability of a character after its context of n − 1 characters is interpolated from the longest context
down to the uniform distribution, by Witten and Bell's weights:

    P_n(c | u) = (count(u c) + t(u)·P_{n−1}(c | u')) / (count(u) + t(u))

t(u): how many different characters followed u; u': u without its first character.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def highest_order(vocabulary_size: int, wanted: int) -> int:
    """The highest order up to `wanted` of which every n-gram has a number of its own in 63 bits."""
    return max(n for n in range(1, wanted + 1) if n == 1 or vocabulary_size**n < 2**63)


class NGram:
    """Counts of one text for every context length up to order − 1, in sorted arrays.

    Args:
        tokens: (N,) integers in 0 … vocabulary_size − 1.
        order: n ≥ 1; 1 counts characters alone.

    Source: Witten & Bell 1991, "The zero-frequency problem"; interpolation as in Chen & Goodman 1999, "An
    empirical study of smoothing techniques for language modeling", section 2.6.

    Raises:
        ValueError: an order below 1; a text shorter than it; contexts too many to be numbered in 63 bits.
    """

    def __init__(self, tokens: Array, vocabulary_size: int, order: int) -> None:
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        if len(tokens) < order:
            raise ValueError(f"the text must have at least {order} characters, got {len(tokens)}")
        if order > highest_order(vocabulary_size, order):
            raise ValueError(f"order {order} over {vocabulary_size} characters does not fit in 63 bits")
        self.vocabulary_size, self.order = vocabulary_size, order
        self._grams: list[tuple[Array, Array]] = []  # of each length 1 … n: codes, counts
        self._contexts: list[tuple[Array, Array, Array]] = []  # of each length 0 … n − 1: codes, sums, kinds
        for length in range(1, order + 1):
            codes, counts = np.unique(_codes(tokens, length, vocabulary_size), return_counts=True)
            contexts, first = np.unique(codes // vocabulary_size, return_index=True)
            sums = np.add.reduceat(counts, first)
            kinds = np.diff(np.append(first, len(codes)))
            self._grams.append((codes, counts.astype(np.int32)))
            self._contexts.append((contexts, sums.astype(np.int32), kinds.astype(np.int32)))

    @property
    def memory_bytes(self) -> int:
        """Of all arrays that a prediction looks into."""
        return sum(array.nbytes for arrays in (*self._grams, *self._contexts) for array in arrays)

    @property
    def entries(self) -> int:
        """How many different n-grams of length 1 … n have a count."""
        return sum(len(codes) for codes, _ in self._grams)

    def bits_per_character(self, tokens: Array) -> float:
        """Mean of −log₂ P over a text; its first characters have shorter contexts.

        Raises:
            ValueError: an empty text.
        """
        if len(tokens) == 0:
            raise ValueError("the text must have at least 1 character, got 0")
        return float(-np.log2(self.probabilities(tokens)).mean())

    def probabilities(self, tokens: Array) -> NDArray[np.float64]:
        """P of each character after those before it, (N,)."""
        found = np.full(len(tokens), 1.0 / self.vocabulary_size)
        for length in range(1, min(self.order, len(tokens)) + 1):
            codes = _codes(tokens, length, self.vocabulary_size)
            counts = _look_up(codes, *self._grams[length - 1])
            contexts, sums, kinds = self._contexts[length - 1]
            context = codes // self.vocabulary_size
            total, different = _look_up(context, contexts, sums), _look_up(context, contexts, kinds)
            reached = found[length - 1 :]
            seen = total > 0
            reached[seen] = (counts[seen] + different[seen] * reached[seen]) / (total + different)[seen]
        return found


def _codes(tokens: Array, length: int, vocabulary_size: int) -> NDArray[np.int64]:
    """Every window of `length` tokens as one number, (N − length + 1,)."""
    count = len(tokens) - length + 1
    codes = np.zeros(count, np.int64)
    for place in range(length):
        codes = codes * vocabulary_size + tokens[place : place + count]
    return codes


def _look_up(codes: Array, known: Array, values: Array) -> NDArray[np.float64]:
    """The value of each code, 0 where it is not known."""
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[place] == codes, values[place], 0).astype(np.float64)
