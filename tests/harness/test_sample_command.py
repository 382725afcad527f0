"""`python -m harness sample`: text from what `train --task text` wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.training.sampling import sample_text
from harness.training.trained import load_character_model
from tests.harness.test_train_command import SMALL, train


def sample(*arguments: str | Path | int | float) -> int:
    """The exit status of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["sample", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows "abcabd…", and a bell that never rings after anything."""
    folder = tmp_path_factory.mktemp("learned")
    text, file = folder / "text.txt", folder / "x.safetensors"
    text.write_text("\a" + "abcabd" * 200, encoding="utf-8")
    words = ("--task", "text", "--corpus", text, "--steps", 150, "--learning-rate", 0.02)
    assert train(*SMALL, *words, "--checkpoint", file) == 0
    return file


def test_it_says_what_it_learned(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample("--weights", learned, "--length", 40, "--start", "abcabdab", "--temperature", 0.1) == 0
    said = capsys.readouterr().out
    assert said.startswith("abcabdab")
    assert len(said) == 49
    assert set(said[8:-1].replace("abc", "").replace("abd", "")) <= set("abcd")
    assert said.count("ab") >= 14
    capsys.readouterr()
    for seed in (0, 0, 1):
        sample("--weights", learned, "--length", 60, "--temperature", 3, "--seed", seed)
    first, again, other = capsys.readouterr().out.splitlines()
    assert first == again != other


def test_it_is_the_model_that_was_trained(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load_character_model(learned, backend="numba")
    assert (found.step, found.vocabulary, found.settings.cell) == (150, "\aabcd", "gru")
    expected = sample_text(found.model, found.vocabulary, 30, start="ab", seed=2)
    sample("--weights", learned, "--length", 30, "--start", "ab", "--seed", 2)
    assert capsys.readouterr().out.rstrip("\n") == expected.replace("\a", "\N{REPLACEMENT CHARACTER}")


def test_what_a_terminal_would_obey_is_not_printed(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample("--weights", learned, "--length", 500, "--temperature", 1e6)
    said = capsys.readouterr().out
    assert "\a" not in said
    assert "\N{REPLACEMENT CHARACTER}" in said


def test_train_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "a name.safetensors"
    text.write_text("abcabd" * 100, encoding="utf-8")
    train(*SMALL, "--task", "text", "--corpus", text, "--steps", 1, "--checkpoint", file)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "harness sample" in line]
    assert line == f"sample from it with: python -m harness sample --weights '{file}'"


def copied(learned: Path, folder: Path, vocabulary: Callable[[str], str] | None) -> Path:
    file = folder / "y.safetensors"
    file.write_bytes(learned.read_bytes())
    if vocabulary is not None:
        text = learned.with_suffix(".vocabulary.json").read_text(encoding="utf-8")
        file.with_suffix(".vocabulary.json").write_text(vocabulary(text), encoding="utf-8")
    return file


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path | int | float) -> str:
    assert sample(*arguments) == 2
    found = capsys.readouterr()
    assert not found.out
    assert len(found.err.splitlines()) == 1
    return found.err


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        (None, "y.vocabulary.json: the vocabulary cannot be read: No such file"),
        (lambda text: "{oops", "not the vocabulary of its checkpoint"),
        (lambda text: "[" * 100_000, "not the vocabulary of its checkpoint"),
        (lambda text: json.dumps(json.loads(text)[:-1]), "got a list of 4"),
        (
            lambda text: json.dumps(["a", "b", "c", "d", "a"]),
            "expected a JSON list of 5 different characters",
        ),
        (lambda text: json.dumps(["a", "b", "c", "d", "ee"]), "not the vocabulary of its checkpoint"),
        (lambda text: json.dumps(["a", "b", "c", "d", 5]), "not the vocabulary of its checkpoint"),
    ],
    ids=["none", "no-json", "deep", "shorter", "twice", "two-letters", "number"],
)
def test_a_vocabulary_that_is_not_its_own_is_one_line(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], vocabulary: Callable | None, words: str
) -> None:
    assert words in refused(capsys, "--weights", copied(learned, tmp_path, vocabulary))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--start", "abz"), "--start: "),
        (("--start", "abz"), "does not know 'z'; expected characters of its vocabulary; got 'abz'"),
        (("--temperature", 0), "--temperature: out of range; expected a number above 0; got 0"),
        (("--temperature", -1), "--temperature: out of range"),
        (("--temperature", "nan"), "--temperature: out of range"),
        (("--length", 0), "--length"),
        (("--backend", "nunpy"), "did you mean 'numpy'"),
    ],
)
def test_a_bad_value_is_one_line(
    learned: Path, capsys: pytest.CaptureFixture[str], arguments: tuple, words: str
) -> None:
    assert words in refused(capsys, "--weights", learned, *arguments)


def test_what_is_no_model_of_a_text_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.safetensors"
    train(*SMALL, "--steps", 1, "--checkpoint", file)
    capsys.readouterr()
    line = refused(capsys, "--weights", file)
    assert "not a model of a text; expected a checkpoint of --task text; got one of --task adding" in line
    assert "cannot read the checkpoint" in refused(capsys, "--weights", tmp_path / "none.safetensors")
