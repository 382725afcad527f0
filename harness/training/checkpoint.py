"""A training that was interrupted goes on exactly where it stood: weights, optimiser and step in one file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

Array = NDArray[Any]
_FORMAT = "rnn-harness training 2"
_WITHOUT_DIGEST = "rnn-harness training 1"
"""What files say that were written before they held a digest; they are read all the same."""


@dataclass(frozen=True)
class Checkpoint:
    """Args:
    step: how many steps are done.
    weights, optimizer: name -> array.
    settings: what the training was started with; one that goes on must have the same.
    """

    step: int
    weights: Mapping[str, Array]
    optimizer: Mapping[str, Array]
    settings: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all (safetensors).

        Raises:
            ValueError: a weight that is not finite, with which no training could go on.
            UserError: it cannot be written; what stood there still does.
        """
        for name, array in self.weights.items():
            if not np.isfinite(array).all():
                raise ValueError(f"weights/{name} is not finite after step {self.step}: nothing is written")
        _write(path, self._to_bytes())

    def rehearse(self, path: Path) -> None:
        """Write as much as :meth:`save` would and take it away again, before any work is done.

        Raises:
            UserError: it cannot be written.
        """
        _write(path, self._to_bytes(), keep=False)

    def _to_bytes(self) -> bytes:
        from safetensors.numpy import save

        arrays = {
            f"{part}/{name}": np.asarray(array, order="C")
            for part, named in (("weights", self.weights), ("optimizer", self.optimizer))
            for name, array in named.items()
        }
        metadata = {"step": str(self.step), "settings": json.dumps(dict(self.settings))}
        digest = _digest(arrays, metadata["step"], metadata["settings"])
        return save(arrays, {"format": _FORMAT, **metadata, "sha256": digest})

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file of :meth:`save`.

        Raises:
            UserError: the file is missing, damaged, or something else; or NaN or inf stand in it.  An
                optimiser may have come to an inf of its own (Adam squares the gradients): it passes where the
                file's digest shows that it was written so.
        """
        metadata, arrays = _read(path)
        if metadata.get("format") not in (_FORMAT, _WITHOUT_DIGEST):
            raise UserError(
                f"{path}: not a checkpoint of a training",
                expected=_FORMAT,
                got=str(metadata.get("format") or "no such mark"),
            )
        step, settings = _step(path, metadata), _settings(path, metadata)
        vouched = metadata["format"] == _FORMAT
        if vouched and metadata.get("sha256") != _digest(arrays, metadata["step"], metadata["settings"]):
            raise _damaged(path, "its SHA-256 is not that of its content")
        for name, array in arrays.items():
            odd = np.isnan(array) if vouched and name.startswith("optimizer/") else ~np.isfinite(array)
            if odd.any():
                raise _damaged(path, f"{name} is not finite")

        def part(prefix: str) -> dict[str, Array]:
            return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

        return cls(step, part("weights/"), part("optimizer/"), settings)


def cannot_be_written(path: Path, error: OSError) -> UserError:
    """The one line for a file of a training that the system does not take."""
    return UserError(
        f"{path}: cannot be written: {error.strerror or error}",
        expected="a folder that is there and writable, with room, and a name that is not too long",
        remedy="make room, or name another",
    )


def _write(path: Path, content: bytes, *, keep: bool = True) -> None:
    """By way of a draft beside it, which is on the disk before it takes the name.

    The draft's name is the same each time, so that one which a kill left behind is written over.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if keep:
                draft.replace(path)
                _sync_folder(path.parent)
        finally:
            with suppress(OSError):  # replaced, or never there
                draft.unlink()
    except OSError as error:
        raise cannot_be_written(path, error) from error


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk too; not every file system knows how."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _digest(arrays: Mapping[str, Array], step: str, settings: str) -> str:
    """Of everything that the file says: its numbers with their names, types and shapes, step and settings."""
    found = hashlib.sha256(json.dumps([step, settings]).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        found.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _read(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            names = file.keys()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, TypeError, ValueError) as error:  # a type that NumPy does not have
        raise UserError(
            f"{path}: cannot read the checkpoint ({error})", expected="a checkpoint of a training"
        ) from error


def _step(path: Path, metadata: Mapping[str, str]) -> int:
    step = metadata.get("step")
    if step is None or re.fullmatch(r"\d{1,18}", step, re.ASCII) is None:
        raise UserError(
            f"{path}: its metadata's step is no number of steps",
            expected="a whole number, 0 or more",
            got="none" if step is None else repr(step[:40]),
            remedy=_ANOTHER,
        )
    return int(step)


def _settings(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get("settings")
    try:
        found = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"{path}: its metadata's settings cannot be read",
            expected="a JSON object",
            got="none" if text is None else repr(text[:40]),
            remedy=_ANOTHER,
        )
    return found


_ANOTHER = "take another copy of the file, or begin anew with --checkpoint"


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path}: the checkpoint is damaged: {what}", remedy=_ANOTHER)
