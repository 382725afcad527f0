"""Counting language models: what recurrent networks replaced, with their memory.

The probability of a character after its context of n − 1 characters is interpolated from the longest context
down to the uniform distribution, by Witten and Bell's weights:

    P_n(c | u) = (count(u c) + t(u)·P_{n−1}(c | u')) / (count(u) + t(u))

t(u): how many different characters followed u; u': u without its first character.

The one idea: an n-gram is written once, as its last character behind its first n − 1, which are an n-gram one
shorter.  How often something came after those, and how much of it was different, the same tables tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def highest_order(vocabulary_size: int, wanted: int) -> int:
    """The highest order up to `wanted` of which every n-gram has a number of its own in 63 bits."""
    return max(n for n in range(1, wanted + 1) if n == 1 or vocabulary_size**n < 2**63)


@dataclass(frozen=True)
class Level:
    """The E different n-grams of one length, in order; every array in the smallest integers that hold it.

    Args:
        starts: (P + 1,) where, of each of the P n-grams one shorter, those that go on from it begin.
        last: (E,) the last character of each.
        counts: (E,) how often each came.
        end: the place in this level of the n-gram that the text ends with, after which nothing came.
    """

    starts: Array
    last: Array
    counts: Array
    end: int

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        return self.starts.nbytes + self.last.nbytes + self.counts.nbytes

    def bits(self, vocabulary_size: int) -> float:
        """With nothing left over in any number: log₂ V for a character, the binary digits of a count, and a
        digit that says of each n-gram whether more follow that go on from the same one."""
        digits = np.frexp(self.counts.astype(np.float64))[1]
        return len(self.last) * (np.log2(vocabulary_size) + 1.0) + float(digits.sum())

    def after(self, context: Array) -> tuple[Array, Array]:
        """Where the n-grams that go on from each context begin, and where they end; both 0 of none (−1)."""
        known = context >= 0
        begin, end = (np.where(known, self.starts[context + k], 0).astype(np.int64) for k in (0, 1))
        return begin, end

    def find(self, context: Array, character: Array) -> Array:
        """The place of each context with that character behind it; −1 where it never came."""
        begin, end = self.after(context)
        place, beyond = begin, end
        for _ in range(int((end - begin).max(initial=0)).bit_length()):
            middle = (place + beyond) // 2
            before = (place < beyond) & (self.last[np.minimum(middle, len(self.last) - 1)] < character)
            place, beyond = np.where(before, middle + 1, place), np.where(before, beyond, middle)
        there = np.minimum(place, len(self.last) - 1)
        return np.where((place < end) & (self.last[there] == character), place, -1)


class NGram:
    """Counts of one text for every context length up to order − 1.

    Args:
        tokens: (N,) integers in 0 … vocabulary_size − 1.
        order: n ≥ 1; 1 counts characters alone.

    Source: Witten & Bell 1991, "The zero-frequency problem"; interpolation as in Chen & Goodman 1999, "An
    empirical study of smoothing techniques for language modeling", section 2.6; a trie in sorted arrays, as
    Heafield 2011, "KenLM: faster and smaller language model queries", has it.

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
        self.vocabulary_size, self.order, self._characters = vocabulary_size, order, len(tokens)
        self._levels: list[Level] = []  # of each length 1 … n
        shorter = np.zeros(1, np.int64)  # the number of the empty one
        for length in range(1, order + 1):
            codes = _codes(tokens, length, vocabulary_size)
            different, counts = np.unique(codes, return_counts=True)
            starts = np.append(np.searchsorted(different, shorter * vocabulary_size), len(different))
            end = int(np.searchsorted(different, codes[-1]))
            self._levels.append(
                Level(_small(starts), _small(different % vocabulary_size), _small(counts), end)
            )
            shorter = different

    @property
    def memory_bytes(self) -> int:
        """Of all arrays that a prediction looks into."""
        return sum(level.nbytes for level in self._levels)

    @property
    def memory_bytes_packed(self) -> float:
        """A lower bound: of the same tables, written bit behind bit."""
        return sum(level.bits(self.vocabulary_size) for level in self._levels) / 8.0

    @property
    def entries(self) -> int:
        """How many different n-grams of length 1 … n have a count."""
        return sum(len(level.last) for level in self._levels)

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
        context = np.zeros(len(tokens), np.int64)  # of each window its first characters: none, as yet
        came = np.full(len(tokens), float(self._characters))  # how often something came after them
        for length, level in enumerate(self._levels[: len(tokens)], start=1):
            begin, end = level.after(context)
            place = level.find(context, tokens[length - 1 :])
            counts = np.where(place >= 0, level.counts[place], 0).astype(np.float64)
            kinds = (end - begin).astype(np.float64)
            reached, seen = found[length - 1 :], came > 0.0
            reached[seen] = (counts[seen] + kinds[seen] * reached[seen]) / (came + kinds)[seen]
            # the next windows are longer by one, and one fewer
            context, came = place[:-1], (counts - (place == level.end))[:-1]
        return found


def _small(numbers: Array) -> Array:
    """The same in the smallest unsigned integers that hold them all."""
    return numbers.astype(np.min_scalar_type(int(numbers.max())))


def _codes(tokens: Array, length: int, vocabulary_size: int) -> NDArray[np.int64]:
    """Every window of `length` tokens as one number, (N − length + 1,)."""
    count = len(tokens) - length + 1
    codes = np.zeros(count, np.int64)
    for place in range(length):
        codes = codes * vocabulary_size + tokens[place : place + count]
    return codes
