"""Real text: where it comes from, and how characters become numbers.

A corpus is a text and its vocabulary, the characters in order of first sight.  The default one is the
Python standard library's own source on this machine, so that nothing has to be downloaded; any text file
can take its place.
"""

from __future__ import annotations

import codecs
import itertools
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

DEFAULT_CHARACTERS = 1 << 20
"""How much of the standard library's source is read."""
FILE_BYTES = 1 << 26
"""How much of a user's file is read: its first 64 MiB."""


@dataclass(frozen=True)
class Corpus:
    """A text as numbers.

    Args:
        source: where it came from, for people.
        vocabulary: its characters in order of first sight.
        tokens: (N,) index into the vocabulary of each character.
        starts: where each file begins, 0 first.
    """

    source: str
    vocabulary: str
    tokens: NDArray[np.int64]
    starts: tuple[int, ...] = (0,)

    @classmethod
    def from_text(cls, source: str, text: str, starts: tuple[int, ...] = (0,)) -> Corpus:
        """Number the characters of a text."""
        points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        sorted_points, first, inverse = np.unique(points, return_index=True, return_inverse=True)
        by_first_sight = np.argsort(first)
        rank = np.empty_like(by_first_sight)
        rank[by_first_sight] = np.arange(len(rank))
        vocabulary = "".join(chr(point) for point in sorted_points[by_first_sight])
        return cls(source, vocabulary, rank[inverse].astype(np.int64), starts)


def read_corpus(path: str | None = None, *, at_least: int = 1, different: int = 1) -> Corpus:
    """The corpus in a file, or the default one.

    Args:
        path: a UTF-8 text file; None for the standard library's source.
        at_least: how many characters the caller needs.
        different: how many different ones: of a text of a single one there is nothing to learn.

    Raises:
        UserError: the file is missing, a directory, unreadable, empty, binary (NUL bytes, or not UTF-8),
            shorter than `at_least`, or of fewer different characters.
    """
    source, texts = _source(path), _texts(path)
    text = "".join(texts)
    if len(text) < at_least:
        raise UserError(
            f"corpus {source}: too short",
            expected=f"at least {at_least} characters",
            got=str(len(text)),
            remedy="take a longer text, or a smaller seq_len",
        )
    starts = itertools.accumulate((len(part) for part in texts[:-1]), initial=0)
    corpus = Corpus.from_text(source, text, tuple(starts))
    if len(corpus.vocabulary) < different:
        raise UserError(
            f"corpus {source}: one character repeated",
            expected=f"at least {different} different characters",
            got=repr(corpus.vocabulary),
            remedy="take a text in which the next character is not certain",
        )
    return corpus


def why_too_short(path: str | None, *, at_least: int) -> str | None:
    """Why this corpus does not do for a measurement that needs so many characters; None where it does.

    Raises:
        UserError: it cannot be read at all.
    """
    count = _count(path, None if path is None else _version(Path(path)))
    if count >= at_least:
        return None
    return (
        f"corpus {_source(path)}: too short, {count} characters where this takes at least {at_least}; "
        "take a longer text, or a smaller seq_len"
    )


@lru_cache(maxsize=4)
def _count(path: str | None, version: tuple[int, int] | None) -> int:
    """Characters of a text, read once for all cases that ask."""
    return sum(map(len, _texts(path)))


def _version(path: Path) -> tuple[int, int] | None:
    """What changes where a file does; None of one that cannot be looked at, as reading it will say."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _source(path: str | None) -> str:
    return "the Python standard library's source" if path is None else path


def _texts(path: str | None) -> list[str]:
    return _standard_library() if path is None else [_text_of(Path(path))]


def _text_of(path: Path) -> str:
    if path.is_dir():
        raise UserError(f"corpus {path}: is a directory", expected="a text file", remedy="name a file in it")
    if path.exists() and not path.is_file():  # of a pipe that nobody writes into, a read would never end
        raise UserError(f"corpus {path}: is no regular file", expected="a text file", remedy="save it in one")
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES)
    except (OSError, ValueError) as error:  # a NUL in its name is a ValueError
        raise UserError(
            f"corpus {path}: cannot be read: {getattr(error, 'strerror', None) or error}",
            expected="a UTF-8 text file",
        ) from error
    if not data:
        raise UserError(f"corpus {path}: is empty", expected="a UTF-8 text file with some text in it")
    if b"\0" in data:
        raise UserError(
            f"corpus {path}: is binary", expected="a UTF-8 text file", got=f"a NUL byte at {data.index(0)}"
        )
    try:
        # A read that was cut off may end inside a character, which is no fault of the file.
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        return decoder.decode(data, final=len(data) < FILE_BYTES)
    except UnicodeDecodeError as error:
        raise UserError(
            f"corpus {path}: not UTF-8 text",
            expected="a UTF-8 text file",
            got=f"byte 0x{data[error.start]:02x} at {error.start}",
            remedy="convert it to UTF-8",
        ) from error


def _standard_library() -> list[str]:
    """The first DEFAULT_CHARACTERS of the library's top-level modules, in order of their names."""
    folder = Path(sysconfig.get_path("stdlib"))
    texts: list[str] = []
    missing = DEFAULT_CHARACTERS
    for file in sorted(folder.glob("*.py")):
        if missing <= 0:
            break
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        texts.append(text[:missing])
        missing -= len(texts[-1])
    if not texts:
        raise UserError(
            f"no default corpus: no Python source in {folder}",
            expected="the standard library's source",
            remedy="name a text file with --corpus FILE",
        )
    return texts
