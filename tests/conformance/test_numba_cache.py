"""Compiled code on disk: found again, never stale, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import caching

from implementations.backends.numba_cpu import compiling
from implementations.backends.numba_cpu.compiling import CodeFile, KernelCache, kernel
from implementations.backends.numba_cpu.tally import tally


def double(x):
    for j in range(x.size):
        x[j] *= 2


def assert_doubles(compiled: object) -> None:
    x = np.array([1.0, 2.0])
    compiled(x)  # type: ignore[operator]
    np.testing.assert_array_equal(x, [2, 4])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    path = tmp_path / "not" / "there"
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(path))
    return path


def hits(compiled: object) -> int:
    return sum(compiled.stats.cache_hits.values())  # type: ignore[attr-defined]


def test_a_missing_folder_is_made(folder: Path) -> None:
    first, second = kernel(double), kernel(double)
    assert_doubles(first)
    assert list(folder.rglob("*.nbc"))
    assert_doubles(second)
    assert (hits(first), hits(second)) == (0, 1)


def test_what_is_compiled_and_what_is_found_are_counted(folder: Path) -> None:
    start = tally().so_far()
    assert_doubles(kernel(double))
    compiled = tally().so_far()
    assert_doubles(kernel(double))
    loaded = tally().so_far()
    assert (compiled.since(start).compiled, compiled.since(start).loaded) == (1, 0)
    assert (loaded.since(compiled).compiled, loaded.since(compiled).loaded) == (0, 1)
    assert start.seconds < compiled.seconds < loaded.seconds


def test_other_sources_are_compiled_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_doubles(kernel(double))
    monkeypatch.setattr(compiling, "source_stamp", lambda: "f" * 64)
    changed = kernel(double)
    assert_doubles(changed)
    assert hits(changed) == 0
    (left,) = folder.rglob("*.nbc")
    assert ".ffffffffffffffff." in left.name


def test_the_stamp_covers_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compiling.py").write_text("")
    (tmp_path / "other.py").write_text("1")
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "compiling.py"))
    before = compiling.source_stamp.__wrapped__()
    assert compiling.source_stamp.__wrapped__() == before
    (tmp_path / "other.py").write_text("2")
    assert compiling.source_stamp.__wrapped__() != before


def test_a_spoilt_file_is_compiled_anew(folder: Path) -> None:
    assert_doubles(kernel(double))
    (file,) = folder.rglob("*.nbc")
    file.write_bytes(file.read_bytes()[:100])
    again = kernel(double)
    assert_doubles(again)
    assert hits(again) == 0


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor any other: code is compiled and forgotten."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(KernelCache._impl_class, "_locator_classes", [compiling._Named])
    assert compiling.cache_folder() is None
    assert_doubles(kernel(double))


def test_a_folder_that_fails_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(CodeFile, "save", full)
    assert_doubles(kernel(double))
    assert not list(folder.rglob("*.nbc"))


def test_a_second_process_compiles_nothing(folder: Path) -> None:
    script = """
import numpy as np
from implementations import CELLS, Parameters, load_backend
from implementations.backends.numba_cpu.rnn import forward
shapes = CELLS["rnn_tanh"].parameter_shapes(2, 2)
parameters = Parameters.from_arrays({name: np.zeros(shape) for name, shape in shapes.items()})
layer = load_backend("numba").bind("rnn_tanh", parameters, "float32")
layer.forward(np.zeros((1, 1, 2), "float32"), training=False)
print(sum(forward.stats.cache_hits.values()), sum(forward.stats.cache_misses.values()))
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    answers = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout.split()
        for _ in range(2)
    ]
    assert answers == [["0", "1"], ["1", "0"]]
