"""Discovery, misses that name the nearest, and a new cell that works in `numpy` from its one file."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from implementations import BACKENDS, CELLS, Backend, BackendUnavailable, Cell, Registry, load_backend
from implementations import registry as registry_module
from implementations.registry import UnknownName
from tests.harness.command import ROOT

EXPECTED_CELLS = {
    "rnn_tanh",
    "rnn_relu",
    "rnn_linear",
    "rnn_tanh_preactivation",
    "rnn_relu_preactivation",
    "lstm",
    "gru",
    "gru_reset_before",
}


def test_what_is_promised_is_there() -> None:
    assert set(CELLS) >= EXPECTED_CELLS
    assert set(BACKENDS) >= {"naive", "numpy", "numba", "torch", "cudnn"}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_knows_its_own_name(name: str) -> None:
    cell = CELLS[name]
    assert isinstance(cell, Cell)
    assert cell.name == name
    assert cell.gates
    assert cell.state_names[0] == "h"
    assert cell.__doc__


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_says_what_it_is_in_one_line(name: str) -> None:
    assert (BACKENDS[name].__doc__ or "").strip()


@pytest.mark.parametrize(
    ("registry", "wrong", "right"),
    [
        (CELLS, "lsmt", "lstm"),
        (CELLS, "GRU", "gru"),
        (BACKENDS, "nmpy", "numpy"),
        (BACKENDS, "CuDNN", "cudnn"),
    ],
)
def test_a_miss_names_the_nearest(registry: Registry, wrong: str, right: str) -> None:
    with pytest.raises(KeyError) as caught:
        registry[wrong]
    assert isinstance(caught.value, UnknownName)
    message = str(caught.value)
    assert f"unknown {registry.kind} {wrong!r}; did you mean {right!r}?" in message
    assert all(name in message for name in registry)


def test_a_miss_far_from_everything_still_lists() -> None:
    with pytest.raises(KeyError, match="known: "):
        CELLS["quaternion"]
    assert "quaternion" not in CELLS


def test_a_registry_is_read_only_to_its_users() -> None:
    with pytest.raises(TypeError):
        CELLS["mine"] = CELLS["lstm"]  # type: ignore[index]


def test_a_name_is_taken_once() -> None:
    registry: Registry[int] = Registry("number", "implementations.cells", "rnn_harness.nothing")
    registry.register("one")(1)
    with pytest.raises(ValueError, match="number 'one' is registered twice"):
        registry.register("one")(2)


def test_third_parties_come_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "their_cells.py").write_text(
        "from tests.conformance import test_registry\ntest_registry.THEIRS.register('theirs')(42)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    announced = EntryPoint("their_cells", "their_cells", "rnn_harness.tests")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [announced])
    assert THEIRS["theirs"] == 42


THEIRS: Registry[int] = Registry("number", "implementations.cells", "rnn_harness.tests")


def test_load_backend_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Backend:
        """Needs what nobody has."""
        import a_library_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401

        raise AssertionError("unreachable")

    monkeypatch.setitem(BACKENDS._items, "needy", load)
    with pytest.raises(BackendUnavailable, match="needy: cannot import a_library_that_nobody_has"):
        load_backend("needy")
    with pytest.raises(KeyError, match="did you mean 'naive'"):
        load_backend("naiv")


def test_names_cost_no_heavy_import() -> None:
    """Listing cells and backends loads neither torch, nor numba, nor a plotting library."""
    code = (
        "import sys; from implementations import BACKENDS, CELLS; list(CELLS), list(BACKENDS); "
        "print([m for m in ('torch', 'numba', 'matplotlib', 'scipy', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_one_definition_is_had_without_the_others() -> None:
    """A worker needs one study; what the others import is not waited for."""
    script = """
import sys
from harness.studies.study import STUDIES
only = STUDIES.only("throughput")
assert "harness.studies.gradient_decay" not in sys.modules, "the other studies were imported"
assert STUDIES["throughput"] is only
assert "gradient_decay" in STUDIES
assert STUDIES.only("limits").name == "limits"  # of a module that is called otherwise
try:
    STUDIES.only("os.path")
except KeyError as miss:
    print(miss)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("unknown study 'os.path'")
