"""A character model as a checkpoint holds it: ready to say something."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UserError
from harness.training.checkpoint import Checkpoint
from harness.training.fit import take_weights
from harness.training.job import TEXT, Settings, text_model
from harness.training.model import SequenceModel
from implementations.contract import BackendUnavailable, UnsupportedCase
from implementations.registry import UnknownName, load_backend


@dataclass(frozen=True)
class CharacterModel:
    """Args:
    settings: what it was trained with.
    step: for how many steps.
    vocabulary: its characters, in the order of their numbers.
    """

    settings: Settings
    step: int
    model: SequenceModel
    vocabulary: str


def load_character_model(path: Path, *, backend: str | None = None) -> CharacterModel:
    """The network of a checkpoint of a training on text, and the vocabulary that stands beside the file.

    Args:
        backend: what runs it; None for the one that it was trained with.

    Raises:
        UserError: no such checkpoint, one of a task, no vocabulary that belongs to it, a backend that is
            not here.
    """
    found = Checkpoint.load(path)
    settings = settings_of(found, path)
    if settings.task != TEXT or "embedding" not in found.weights:
        raise UserError(
            f"{path}: not a model of a text", expected="a checkpoint of --task text",
            got=f"one of --task {settings.task}",
        )  # fmt: skip
    vocabulary = _vocabulary(vocabulary_file(path), len(found.weights["embedding"]))
    try:
        runs = load_backend(backend or settings.backend)
        if reason := runs.why_unsupported(settings.cell, "float32", training=False):
            raise UnsupportedCase(reason)
        model = text_model(replace(settings, clip="none", place=None), runs, len(vocabulary))
    except (ValueError, BackendUnavailable, UnsupportedCase, UnknownName) as error:
        raise UserError(f"{path}: cannot be run: {error}", remedy="choose another --backend") from error
    take_weights(model, found, path)
    return CharacterModel(settings, found.step, model, vocabulary)


def settings_of(found: Checkpoint, path: Path) -> Settings:
    """The settings of a checkpoint.

    Raises:
        UserError: they are not those of a training from settings.
    """
    try:
        return Settings.from_json(found.settings)
    except ValueError as error:
        raise UserError(
            f"{path}: not a checkpoint of this command: {error}", expected="one that train wrote"
        ) from error


def vocabulary_file(path: Path) -> Path:
    """Where the vocabulary of a checkpoint stands."""
    return path.with_suffix(".vocabulary.json")


def vocabulary_json(vocabulary: str) -> str:
    """What stands there: a JSON list of the characters, in the order of their numbers."""
    return json.dumps(list(vocabulary))


def _vocabulary(file: Path, size: int) -> str:
    expected = f"a JSON list of {size} different characters, as train writes it"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{file}: the vocabulary cannot be read: {error.strerror}", expected=expected,
            remedy="put it beside its checkpoint",
        ) from error  # fmt: skip
    except (ValueError, RecursionError):
        found = None
    single = isinstance(found, list) and all(isinstance(one, str) and len(one) == 1 for one in found)
    if not single or len(found) != size or len(set(found)) != size:
        got = f"a list of {len(found)}" if isinstance(found, list) else "something else"
        raise UserError(f"{file}: not the vocabulary of its checkpoint", expected=expected, got=got)
    return "".join(found)
