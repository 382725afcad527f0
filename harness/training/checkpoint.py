"""A training that was interrupted goes on exactly where it stood: weights, optimiser and step in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

Array = NDArray[Any]
_FORMAT = "rnn-harness training 1"


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
        """
        from safetensors.numpy import save_file

        for name, array in self.weights.items():
            if not np.isfinite(array).all():
                raise ValueError(f"weights/{name} is not finite after step {self.step}: nothing is written")
        arrays = {
            **{f"weights/{name}": np.ascontiguousarray(a) for name, a in self.weights.items()},
            **{f"optimizer/{name}": np.ascontiguousarray(a) for name, a in self.optimizer.items()},
        }
        draft = path.with_name(f".{path.name}.draft")
        metadata = {"format": _FORMAT, "step": str(self.step), "settings": json.dumps(dict(self.settings))}
        save_file(arrays, draft, metadata)
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file of :meth:`save`.

        Raises:
            UserError: the file is missing, damaged, or something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: cannot read the checkpoint ({error})", expected="a checkpoint of a training"
            ) from error
        if metadata.get("format") != _FORMAT:
            raise UserError(
                f"{path}: not a checkpoint of a training",
                expected=_FORMAT,
                got=str(metadata.get("format") or "no such mark"),
            )

        def part(prefix: str) -> dict[str, Array]:
            return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

        return cls(
            int(metadata["step"]),
            part("weights/"),
            part("optimizer/"),
            json.loads(metadata["settings"]),
        )
