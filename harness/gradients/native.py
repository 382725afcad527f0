"""Machine code in a file, and how it becomes functions.

Loading it takes LLVM's linker and a few hundredths of a second, and Numba, which made it, is not imported.
The file's name says what it was made from and for which processor; a file that is absent, spoilt or does not
fit is as none at all.  It is as trusted as Python's own compiled files, beside which it lies.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

ARGUMENTS: dict[str, Any] = {
    "n": ctypes.c_int64,
    "x": ctypes.c_double,
    "d": ctypes.c_void_p,
    "i": ctypes.c_void_p,
    "b": ctypes.c_void_p,
}
"""By the letters of a kernel's arguments: a size, a number, the address of float64, int64 or int8."""

Native = Callable[..., None]
"""Takes numbers and addresses, in the order of its arguments; other threads run meanwhile."""


@dataclass(frozen=True)
class Code:
    """Args:
    symbols: kernel -> what its function is called in the object file, and its arguments.
    image: the object file.
    """

    symbols: dict[str, tuple[str, str]]
    image: bytes

    def to_bytes(self) -> bytes:
        """A line of JSON, and the image."""
        head = {"symbols": self.symbols, "sha256": hashlib.sha256(self.image).hexdigest()}
        return json.dumps(head).encode() + b"\n" + self.image

    @classmethod
    def from_bytes(cls, content: bytes) -> Code:
        """
        Raises:
            ValueError: it is not whole.
        """
        line, _, image = content.partition(b"\n")
        head = json.loads(line)
        if not isinstance(head, dict) or head.get("sha256") != hashlib.sha256(image).hexdigest():
            raise ValueError("a file of machine code is not whole")
        return cls({name: (symbol, letters) for name, (symbol, letters) in head["symbols"].items()}, image)


class Shelf:
    """Where the code made from some sources is kept: one file for each kind of processor.

    Args:
        sources: which files.
        folders: where it may lie; it is written to the first that can be written.
    """

    def __init__(self, sources: Callable[[], list[Path]], folders: Callable[[], list[Path]]) -> None:
        self._sources, self._folders = sources, folders

    @cached_property
    def _made_from(self) -> str:
        digest = hashlib.sha256(f"{metadata.version('numba')} {metadata.version('llvmlite')}".encode())
        for path in self._sources():
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def read(self) -> Code | None:
        for folder in self._folders():
            with suppress(OSError, ValueError, KeyError, TypeError):
                return Code.from_bytes((folder / self._name()).read_bytes())
        return None

    def write(self, code: Code) -> None:
        """That no folder can be written is no error."""
        for folder in self._folders():
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                partial = folder / f"{self._name()}.{uuid.uuid4().hex}"
                partial.write_bytes(code.to_bytes())
                partial.replace(folder / self._name())
                for old in self._outdated(folder):
                    old.unlink(missing_ok=True)
                return

    def _outdated(self, folder: Path) -> Iterator[Path]:
        return (old for old in folder.glob("kernels.*.*.o") if old.name.split(".")[1] != self._made_from)

    def _name(self) -> str:
        import llvmlite.binding as llvm

        processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
        return f"kernels.{self._made_from}.{hashlib.sha256(processor.encode()).hexdigest()[:16]}.o"


def address(array: NDArray[Any]) -> int:
    """Where an array begins, for as long as it lives.

    Raises:
        TypeError, ValueError: it is not contiguous, or may not be written.
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]


def folders() -> list[Path]:
    """Numba's own choice of folders: NUMBA_CACHE_DIR, else beside the sources, else the user's."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(named) / "rnn-harness"]
    personal = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [Path(__file__).parent / "__pycache__", personal / "rnn-harness"]


def functions(code: Code) -> dict[str, Native]:
    """Its kernels, by name.

    Raises:
        RuntimeError: LLVM cannot link the image.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(reloc="pic", codemodel="small")
    # JITLink takes one block for all sections.  The older linker takes one for each, which in a process with
    # little room left may lie further apart than the 32 bits by which code reaches its constants: it aborts.
    linker = llvm.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)
    library = llvm.JITLibraryBuilder().add_object_img(code.image).add_current_process()
    # Numba's code refers to it wherever an array may own memory; addresses own none.
    library.import_symbol("NRT_MemInfo_call_dtor", ctypes.cast(_NEVER_CALLED, ctypes.c_void_p).value)
    for symbol, _ in code.symbols.values():
        library.export_symbol(symbol)
    linked = library.link(linker, "kernels")
    return {
        name: _callable(linked[symbol], letters, linker, linked)
        for name, (symbol, letters) in code.symbols.items()
    }


_NEVER_CALLED = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)


def _callable(address: int, letters: str, *keep_alive: Any) -> Native:
    """A function of Numba's calling convention, which takes where to put a result and an exception first."""
    kinds = [ctypes.c_void_p, ctypes.c_void_p, *(ARGUMENTS[letter] for letter in letters)]
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)
    unused = [ctypes.c_void_p() for _ in range(2)]
    result, exception = (ctypes.addressof(each) for each in unused)

    def call(*arguments: float) -> None:
        if status := function(result, exception, *arguments):
            raise RuntimeError(f"a compiled kernel ended with status {status}")

    call.keep_alive = (unused, *keep_alive)  # type: ignore[attr-defined]
    return call
