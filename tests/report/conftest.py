"""Runs that were never run, and their reports, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import write_report
from harness.report.frames import Run
from tests.report import synthetic


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run with every study and every way to end; no report in it."""
    listed = synthetic.items(lengths=(16, 128), batches=(1, 32), decay_length=24)
    listed.append((synthetic.OPEN, None))
    return synthetic.write_run(tmp_path_factory.mktemp("runs") / "small", listed)


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    return Run.read(folder)


@pytest.fixture(scope="session")
def reported(folder: Path) -> Path:
    """The same folder, with its report."""
    assert write_report(folder) == folder / "report.html"
    return folder
