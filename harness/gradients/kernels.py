"""Which of the engine's compiled kernels are used: those that are on disk already, and those that pay.

Compiling them takes some seconds, once on a machine; loading them some hundredths of one, once in a process.
So a process looks for them when it first has matrices that are large enough, and compiles them, where there
were none, when it has had twenty thousand of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import implementations
from harness.gradients.native import Code, Native, Shelf, folders, functions

SMALLEST = 48
"""Hidden size from which kernels gain more than they cost."""
WORTH_COMPILING = 20_000
"""Matrices, of all decays in this process together."""


def _sources() -> list[Path]:
    """All that the code depends on."""
    own = sorted(Path(__file__).parent.glob("compiled*.py"))
    return [*own, *sorted((Path(implementations.__file__).parent / "backends" / "numba_cpu").glob("*.py"))]


class Kernels:
    """What of them this process has."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._matrices, self._looked = 0, False
        self.loaded: dict[str, Native] = {}
        """By name; empty where they are not loaded."""

    def load(self) -> None:
        """From disk, or compiled and put there."""
        if not self.loaded and not self._from_disk():
            code = _compiled()
            self._shelf.write(code)
            self.loaded.update(functions(code))

    def expect(self, matrices: int, hidden_size: int) -> None:
        """Before a decay of so many matrices: load them where they are on disk, or where that pays."""
        if self.loaded or hidden_size < SMALLEST:
            return
        self._matrices += matrices
        if self._matrices >= WORTH_COMPILING:
            self.load()
        elif not self._looked:
            self._from_disk()

    def _from_disk(self) -> bool:
        self._looked = True
        if code := self._shelf.read():
            with suppress(RuntimeError):  # made by another LLVM, say: they are compiled anew
                self.loaded.update(functions(code))
        return bool(self.loaded)


def _compiled() -> Code:
    from harness.gradients import compiled_lanczos, compiled_steps
    from harness.gradients.compiled import machine_code

    return machine_code(compiled_lanczos.KERNELS | compiled_steps.KERNELS)


KERNELS = Kernels(Shelf(_sources, folders))
"""Of this process."""


def load_kernels() -> None:
    """Compile the engine's kernels, or load them from disk, for all decays in float64 of this process that
    follow.

    They are loaded unasked where they are on disk; this is for who wants them from the first call on, on a
    machine where nobody had them compiled.  What is computed then differs by other roundings, within the same
    1e-10.
    """
    KERNELS.load()


def loaded_kernels(hidden_size: int) -> Mapping[str, Native]:
    """By name, for a network of this size; empty where they are not loaded, or would not pay.

    So a small network's numbers do not depend on whether a large one came before it.
    """
    return KERNELS.loaded if hidden_size >= SMALLEST else {}
