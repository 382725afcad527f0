"""Inputs are seeded, of unit scale, and text that cannot be used is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.inputs import INPUT_KINDS, embedding, make_inputs
from harness.training.corpora import Corpus, read_corpus


@pytest.mark.parametrize("kind", INPUT_KINDS)
def test_shape_dtype_and_seed(kind: str) -> None:
    first, second = (make_inputs(kind, 12, 3, 5, seed=4) for _ in range(2))
    assert first.shape == (12, 3, 5)
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, second)
    assert kind == "zeros" or not np.array_equal(first, make_inputs(kind, 12, 3, 5, seed=5))


def test_noise_is_white_with_unit_variance() -> None:
    noise = make_inputs("noise", 200, 20, 25)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.var() - 1.0) < 0.02
    assert abs(np.mean(noise[1:] * noise[:-1])) < 0.02


def test_noise_does_not_share_its_numbers_with_the_parameters() -> None:
    assert not np.isin(np.random.default_rng(0).standard_normal(10), make_inputs("noise", 10, 1, 1)).any()


def test_text_passes_through_the_embedding(tmp_path: Path) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text("abab", encoding="utf-8")
    table = embedding(2, 6)
    np.testing.assert_array_equal(make_inputs("text", 4, 1, 6, corpus=str(file))[:, 0], table[[0, 1, 0, 1]])


def test_vocabulary_is_in_order_of_first_sight() -> None:
    corpus = Corpus.from_text("here", "zañaz😀z")
    assert corpus.vocabulary == "zañ😀"
    assert corpus.tokens.tolist() == [0, 1, 2, 1, 0, 3, 0]


def test_the_default_corpus_is_the_same_each_time_and_is_python() -> None:
    corpus = read_corpus()
    assert len(corpus.tokens) > 100_000
    text = "".join(corpus.vocabulary[token] for token in corpus.tokens[:20_000])
    assert "def " in text
    assert "import " in text
    np.testing.assert_array_equal(corpus.tokens, read_corpus().tokens)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"some\0bytes", "a NUL byte at 4"),
        (b"caf\xe9 au lait", "byte 0xe9 at 3"),
        (b"abc", "at least 64 characters; got 3"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "corpus.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as error:
        make_inputs("text", 64, 1, 4, corpus=str(file))
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_corpus(str(tmp_path / "absent.txt"))
    with pytest.raises(UserError, match="is a directory"):
        read_corpus(str(tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is no regular file"):
        read_corpus(str(tmp_path / "pipe"))


@pytest.mark.parametrize(("name", "sizes"), [("seq_len", (0, 1, 1)), ("batch_size", (1, -1, 1))])
def test_sizes_below_one_are_refused(name: str, sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        make_inputs("noise", *sizes)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown inputs 'nois'; known: noise, zeros, text"):
        make_inputs("nois", 1, 1, 1)
