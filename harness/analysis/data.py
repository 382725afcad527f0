"""What the network is to read: tokens, text or vectors, from a file, cut into windows.

Integers in an .npy file are tokens, floats are vectors (T, B, I); any other file is text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.weights import PICKLED, check_finite, check_size
from harness.errors import UserError
from harness.training.corpora import read_corpus

Array = NDArray[Any]

DATA_BYTES = 1 << 30
"""How large an .npy file may be: 1 GiB.  Of a text its first 64 MiB are read."""
VOCABULARY_BYTES = 1 << 24
_KINDS = "an .npy file (integers (T,) or (T, B), or floats (T, B, I)) or a text file"


@dataclass(frozen=True)
class Data:
    """Args:
    source: the file's name.
    array: tokens (T, B), integers, or vectors (T, B, I), floats.
    words: how it was read, for people.
    tokens_known: how many tokens the vocabulary has; 0 where there is none.
    by_first_sight: whether the text itself numbered its characters.
    """

    source: str
    array: Array
    words: str
    tokens_known: int = 0
    by_first_sight: bool = False

    @property
    def is_tokens(self) -> bool:
        return self.array.ndim == 2


def read_data(path: Path, vocabulary: Path | None, *, steps: int, samples: int) -> Data:
    """The data in a file, at most `steps` long and `samples` wide.

    A single sequence that is longer is cut into windows that lie evenly over it; of several sequences the
    first ones are taken, from their beginning.

    Raises:
        UserError: a file that cannot be read or holds no such data, T = 0, NaN or inf, a negative token, a
            character that is not in the vocabulary.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz" or suffix in PICKLED:
        raise UserError(f"{path}: not a kind of data file", expected=_KINDS, got=suffix)
    if suffix == ".npy":
        if vocabulary is not None:
            raise UserError(
                f"{path}: holds numbers, which need no vocabulary", remedy="leave --vocabulary out"
            )
        array, words = _checked_numbers(path, _read_npy(path)), "taken as it is"
        known = 0
    else:
        array, words, known = _read_text(path, vocabulary)
    cut, how = _windows(array, steps, samples)
    return Data(str(path), cut, f"{words}; {how}", known, suffix != ".npy" and vocabulary is None)


def _read_npy(path: Path) -> Array:
    check_size(path, DATA_BYTES, _KINDS)
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path}: no readable npy file without pickled objects: {error}", expected=_KINDS
        ) from error
    return np.asarray(found)


def _checked_numbers(path: Path, array: Array) -> Array:
    """Tokens (T,) or (T, B), or vectors (T, B, I)."""
    kind = array.dtype.kind
    axes = {"i": (1, 2), "u": (1, 2), "f": (3,)}.get(kind)
    if axes is None or array.ndim not in axes:
        raise UserError(
            f"{path}: neither tokens nor vectors",
            expected="integers (T,) or (T, B), or floats (T, B, I)",
            got=f"{array.dtype} {array.shape}",
            remedy="for one sequence of vectors (T, I), save array[:, None]" if array.ndim == 2 else None,
        )
    if 0 in array.shape:
        raise UserError(f"{path}: is empty", expected="at least one step", got=f"shape {array.shape}")
    if kind == "f":
        check_finite(str(path), "data", array)
        return array
    if array.min() < 0:
        index = tuple(int(i) for i in np.argwhere(array < 0)[0])
        raise UserError(f"{path}: tokens must be 0 or more, got {array[index]} at index {index}")
    return array


def _read_text(path: Path, vocabulary: Path | None) -> tuple[Array, str, int]:
    corpus = read_corpus(str(path))
    if vocabulary is None:
        words = f"text, its {len(corpus.vocabulary)} characters numbered in order of first sight"
        return corpus.tokens, words, len(corpus.vocabulary)
    numbers = read_vocabulary(vocabulary)
    for place, character in enumerate(corpus.vocabulary):
        if character not in numbers:
            at = int(np.argmax(corpus.tokens == place))
            raise UserError(
                f"{path}: character {character!r} at {at} is not in the vocabulary {vocabulary}",
                expected=f"one of its {len(numbers)} characters",
                remedy="take the vocabulary that the model was trained with, or other text",
            )
    table = np.array([numbers[character] for character in corpus.vocabulary], dtype=np.int64)
    words = f"text, its characters numbered by {vocabulary} ({len(numbers)} characters)"
    return table[corpus.tokens], words, max(numbers.values()) + 1


def read_vocabulary(path: Path) -> dict[str, int]:
    """Character -> token.

    A .json file holds a list of characters in order, or a mapping from each to its number.  Any other file
    is read as text that holds the characters in order, spaces and line ends among them; one line end at its
    very end is not counted, since editors put it there.

    Raises:
        UserError: the file cannot be read, is none of these, names a character twice, or is empty.
    """
    expected = "a text file of characters in order, or JSON: a list of characters or a mapping to numbers"
    check_size(path, VOCABULARY_BYTES, expected)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = json.loads(text) if path.suffix.lower() == ".json" else list(text.removesuffix("\n"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"vocabulary {path}: cannot be read: {error}", expected=expected) from error
    if isinstance(found, list):
        pairs = [(character, number) for number, character in enumerate(found)]
    elif isinstance(found, dict):
        pairs = list(found.items())
    else:
        raise UserError(f"vocabulary {path}: neither a list nor a mapping", expected=expected)
    numbers: dict[str, int] = {}
    for character, number in pairs:
        if type(number) is not int or not 0 <= number < 2**63 or not isinstance(character, str):
            raise UserError(
                f"vocabulary {path}: {character!r} has no number", expected=expected, got=repr(number)
            )
        if character in numbers:
            raise UserError(f"vocabulary {path}: {character!r} stands in it twice", expected=expected)
        numbers[character] = number
    if not numbers:
        raise UserError(f"vocabulary {path}: is empty", expected=expected)
    return numbers


def _windows(array: Array, steps: int, samples: int) -> tuple[Array, str]:
    """At most (steps, samples) of it, and what was taken in words."""
    if array.ndim == 1:
        array = array[:, None]
    seq_len, batch_size = array.shape[:2]
    if seq_len <= steps or batch_size > 1:
        taken = array[:steps, :samples]
        whole = taken.shape == array.shape
        size = f"T = {taken.shape[0]}, B = {taken.shape[1]}"
        return taken, f"all of it, {size}" if whole else f"{size}, of T = {seq_len} and B = {batch_size}"
    count = min(samples, seq_len // steps)
    starts = np.linspace(0, seq_len - steps, count).astype(np.int64)
    taken = array[np.arange(steps)[:, None] + starts, 0]
    return taken, f"{count} windows of {steps} steps, evenly over its {seq_len}"
