"""Options and markers that every test folder shares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# the checks assert in modules that are no test modules: show what was compared there too
pytest.register_assert_rewrite("tests.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="fail, instead of skipping, where this backend is unavailable (may be repeated)",
    )
    parser.addoption(
        "--kill-points",
        type=int,
        default=10,
        metavar="N",
        help="kill a run, or a worker of it, at this many random points (default: 10)",
    )
    parser.addoption(
        "--write-faults",
        action="store_true",
        help="write docs/faults.md from what the fault suite saw, instead of comparing with it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Runs that tests start do not wait for a benchmark on this machine, nor for each other."""
    name = f"rnn-harness-tests-{os.getuid()}-{os.getpid()}.lock"
    os.environ["RNN_HARNESS_LOCK"] = str(Path(tempfile.gettempdir()) / name)


def pytest_unconfigure(config: pytest.Config) -> None:
    Path(os.environ.pop("RNN_HARNESS_LOCK")).unlink(missing_ok=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None:
        return
    from implementations import BackendUnavailable, load_backend

    try:
        load_backend("cudnn")
    except BackendUnavailable as error:
        pytest.skip(str(error))
