"""No pickle, no code from data, no shell: in no source file of the project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.meta.unsafe_calls import unsafe

ROOT = Path(__file__).parents[2]
SOURCES = [
    ROOT / "run_all.py",
    *sorted((ROOT / "harness").rglob("*.py")),
    *sorted((ROOT / "implementations").rglob("*.py")),
]
EXCEPTIONS = {"implementations/backends/numba_cpu/compiling.py": {"import pickle"}}
"""Numba's own format for its cache of compiled kernels: machine code, as trusted as an installed library."""
WALL_CLOCK = {"harness/exchange/facts.py", "harness/folder.py", "harness/run.py"}
"""Where a moment is written down; a duration is a difference of `time.monotonic`."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unsafe(path):
    found = {what for _, what in unsafe(path.read_text(encoding="utf-8"))}
    assert found == EXCEPTIONS.get(str(path.relative_to(ROOT)), set())


@pytest.mark.parametrize(
    "source",
    [
        *(
            "import pickle",
            "import pickle as p",
            "from pickle import loads",
            "import yaml",
            "import cloudpickle.fast",
        ),
        *("eval(x)", "exec(x)", "__import__(x)", "os.system(x)", "os.popen(x)", "tempfile.mktemp()"),
        *("torch.load(f)", "torch.load(f, weights_only=False)", "torch.load(f, weights_only=flag)"),
        *("np.load(f, allow_pickle=True)", "numpy.load(f, allow_pickle=flag)", "frame.to_pickle(f)"),
        *("subprocess.run(x, shell=True)", "Popen(x, shell=flag)", "def f():\n    import shelve"),
    ],
)
def test_the_search_finds_it(source):
    assert list(unsafe(source))


@pytest.mark.parametrize(
    "source",
    [
        "import json",
        "model.eval()",
        "torch.load(f, weights_only=True)",
        "np.load(f, allow_pickle=False)",
        "re.compile(x)",
    ],
)
def test_the_search_leaves_what_is_safe(source):
    assert not list(unsafe(source))


def test_no_duration_by_the_wall_clock():
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.time", "time.time_ns")
    }
    assert found <= WALL_CLOCK
