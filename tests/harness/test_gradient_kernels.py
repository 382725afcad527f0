"""The engine's compiled kernels on disk: loaded without Numba, never trusted when spoilt, never required."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gradients import kernels
from harness.gradients.kernels import WORTH_COMPILING, Kernels
from harness.gradients.native import Code, Shelf, functions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def code() -> Code:
    """What was compiled, and lies where every process finds it."""
    kernels.load_kernels()
    found = kernels.KERNELS._shelf.read()
    assert found is not None
    return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "source.py").write_text("one")
    return Shelf(lambda: [tmp_path / "source.py"], lambda: [tmp_path / "folder"])


def run(program: str, **environment: str) -> str:
    paths = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    found = subprocess.run(
        [sys.executable, "-c", program], env=paths, capture_output=True, text=True, check=False
    )
    assert (found.stderr, found.returncode) == ("", 0)
    return found.stdout.strip()


DECAY = """
import sys
import numpy as np
import harness.gradients
from harness.gradients.kernels import loaded_kernels
from harness.initializations import initialize
assert not {"numba", "llvmlite", "torch"} & set(sys.modules)
parameters = initialize("orthogonal", "lstm", 2, SIZE, seed=0)
decay = harness.gradients.jacobian_decay("lstm", parameters, np.ones((9, 1, 2)))
assert np.isfinite(decay.log10_spectral_norm["hh"]).all()
print(sorted(loaded_kernels(SIZE)), "numba" in sys.modules)
"""


def test_a_first_decay_loads_what_is_on_disk_and_not_numba(code: Code) -> None:
    assert run(DECAY.replace("SIZE", "64")) == f"{sorted(code.symbols)} False"


def test_small_networks_load_nothing(code: Code) -> None:
    assert run(DECAY.replace("SIZE", "8")) == "[] False"


IN_PIECES = """
import ctypes
import llvmlite.binding
import numpy as np
import harness.gradients
from harness.gradients.kernels import KERNELS, load_kernels
from harness.initializations import initialize
PAGE, RESERVED = 4096, 0x4022  # private, anonymous, no memory behind it
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
take = lambda size: libc.mmap(None, size, 0, RESERVED, -1, 0)
assert KERNELS._shelf.read() is not None
for size in (1 << 24, 1 << 20, 1 << 16, PAGE):  # fill what is free between libraries
    for _ in range(3000):
        take(size)
pages = [take(PAGE) for _ in range(64)]
gap = take(4 << 30)
while take(PAGE) > gap:
    pass
for page in pages[::2]:  # room for a section of constants, four GiB from any room for code
    libc.munmap(page, PAGE)
load_kernels()
parameters = initialize("orthogonal", "lstm", 2, 64, seed=0)
decay = harness.gradients.jacobian_decay("lstm", parameters, np.ones((9, 1, 2)))
print(np.isfinite(decay.log10_spectral_norm["hh"]).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is laid out as Linux does it")
def test_code_and_its_constants_stay_together_where_free_addresses_do_not(code: Code) -> None:
    """Code reaches its constants by 32 bits; sections put down one by one may lie further apart."""
    assert run(IN_PIECES) == "True"


def test_where_nothing_is_on_disk_nothing_is_compiled_for_one_decay(tmp_path: Path) -> None:
    """The folder's name is a file's: nothing could be written either."""
    (tmp_path / "nowhere").touch()
    assert run(DECAY.replace("SIZE", "64"), NUMBA_CACHE_DIR=str(tmp_path / "nowhere")) == "[] False"


def test_a_shelf_gives_back_what_was_put_there(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.read() is None
    shelf.write(Code({"one": ("symbol", "nd")}, b"image"))
    assert shelf.read() == Code({"one": ("symbol", "nd")}, b"image")
    assert len(list((tmp_path / "folder").iterdir())) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"",
        lambda content: b"[1]\n",
        lambda content: content.replace(b"symbols", b"symbol_"),
        lambda content: b"\xff" + content,
    ],
)
def test_a_spoilt_file_is_none(shelf: Shelf, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    shelf.write(Code({"one": ("symbol", "nd")}, b"image"))
    (path,) = (tmp_path / "folder").iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    assert shelf.read() is None


def test_other_sources_have_other_code_and_the_older_goes(shelf: Shelf, tmp_path: Path) -> None:
    shelf.write(Code({}, b"old"))
    (tmp_path / "source.py").write_text("two")
    newer = Shelf(lambda: [tmp_path / "source.py"], lambda: [tmp_path / "folder"])
    assert newer.read() is None
    newer.write(Code({}, b"new"))
    assert [path.read_bytes()[-3:] for path in (tmp_path / "folder").iterdir()] == [b"new"]


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    both = Shelf(list, lambda: [tmp_path / "file" / "below", tmp_path / "folder"])
    both.write(Code({}, b"image"))
    assert both.read() == Code({}, b"image")
    Shelf(list, lambda: [tmp_path / "file" / "below"]).write(Code({}, b"image"))


def test_code_that_cannot_be_linked_is_an_error_where_it_is_asked_for_and_none_where_it_is_found(
    shelf: Shelf, code: Code
) -> None:
    with pytest.raises(RuntimeError):
        functions(Code({"lanczos": ("no_such_symbol", "n")}, code.image))
    with pytest.raises(RuntimeError):
        functions(Code({"lanczos": ("symbol", "n")}, b"no object file"))
    shelf.write(Code({"lanczos": ("no_such_symbol", "n")}, code.image))
    found = Kernels(shelf)
    found.expect(100, 64)
    assert not found.loaded


def test_kernels_are_compiled_when_all_decays_together_are_worth_it(
    shelf: Shelf, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(kernels, "_compiled", lambda: calls.append(1) or code)
    found = Kernels(shelf)
    for _ in range(3):
        found.expect(WORTH_COMPILING // 3, 64)
        found.expect(10 * WORTH_COMPILING, 16)
        assert not found.loaded
        assert not calls
    found.expect(10, 64)
    assert sorted(found.loaded) == sorted(code.symbols)
    assert calls == [1]
    again = Kernels(shelf)
    again.expect(1, 64)
    assert sorted(again.loaded) == sorted(code.symbols)


def test_a_small_networks_numbers_do_not_depend_on_what_came_before(code: Code) -> None:
    assert kernels.KERNELS.loaded
    assert not kernels.loaded_kernels(kernels.SMALLEST - 1)
    assert kernels.loaded_kernels(kernels.SMALLEST)
