"""A model's weights from a file: names and shapes at once, each array when it is asked for.

safetensors and npz alone, and npz without pickle: reading a file that somebody handed us must not run code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

Array = NDArray[Any]

FILE_BYTES = 1 << 33
"""How large a weight file may be, and how large what an npz unpacks to: 8 GiB."""
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar")
REMEDY = (
    "save it once more where it was made: from safetensors.torch import save_file; "
    'save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, "model.safetensors")'
)


@dataclass(frozen=True)
class Weights:
    """A state_dict.

    Args:
        source: where it is from, for people.
        shapes: name -> shape of every array, in the file's order.
        load: name -> the array.
    """

    source: str
    shapes: Mapping[str, tuple[int, ...]]
    load: Callable[[str], Array]

    def array(self, name: str) -> Array:
        """One array in float64.

        Raises:
            UserError: it holds no real floating-point numbers, or a NaN or inf (named, with the first index).
        """
        found = self.load(name)
        if found.dtype.kind != "f":
            raise UserError(
                f"{self.source}: {name} must hold floating-point numbers, got dtype {found.dtype}",
                remedy="save the weights unquantised",
            )
        check_finite(self.source, name, found)
        return found.astype(np.float64)


def check_finite(source: str, name: str, array: Array) -> None:
    """Raise UserError, with the first index, where an entry is NaN or inf."""
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise UserError(f"{source}: {name} must be finite, got {array[index]} at index {index}")


def from_arrays(source: str, arrays: Mapping[str, Array]) -> Weights:
    """Weights that are in memory."""
    return Weights(source, {k: tuple(v.shape) for k, v in arrays.items()}, lambda name: arrays[name])


def read_weights(path: Path) -> Weights:
    """The weights in a .safetensors or .npz file.

    Raises:
        UserError: the file is missing, too large, of another kind (pickles are refused with what to do
            instead), or damaged.
    """
    expected = "a .safetensors or .npz file"
    if path.suffix.lower() in PICKLED:
        raise UserError(f"{path}: pickled weights are not read", expected=expected, remedy=REMEDY)
    readers = {".safetensors": _read_safetensors, ".npz": _read_npz}
    if path.suffix.lower() not in readers:
        raise UserError(
            f"{path}: not a kind of weight file", expected=expected, got=path.suffix or "no suffix"
        )
    check_size(path, FILE_BYTES, expected)
    return readers[path.suffix.lower()](path)


def check_size(path: Path, most: int, expected: str) -> None:
    """Raise UserError unless `path` is a readable file of at most `most` bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}", expected=expected) from error
    if size > most:
        raise UserError(f"{path}: too large", expected=f"at most {most} bytes", got=str(size))


def _read_safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            dtypes = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: no readable safetensors file: {error}") from error

    def load(name: str) -> Array:
        # NumPy has neither bfloat16 nor the 8-bit floats: torch reads those
        if dtypes[name].startswith(("BF", "F8")):
            with safe_open(path, framework="pt") as file:
                return np.asarray(file.get_tensor(name).float().numpy())
        with safe_open(path, framework="numpy") as file:
            return np.asarray(file.get_tensor(name))

    return Weights(str(path), shapes, load)


def _read_npz(path: Path) -> Weights:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > FILE_BYTES:
            raise UserError(f"{path}: too large", expected=f"at most {FILE_BYTES} bytes", got=str(unpacked))
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: no readable npz file without pickled objects: {error}", remedy="save plain arrays"
        ) from error
    return from_arrays(str(path), arrays)
