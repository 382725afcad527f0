"""The faulty study and backend, within reach of this process too: plans that name them are checked here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from harness.studies.study import STUDIES
from implementations.registry import BACKENDS
from tests.harness.command import FAULTY


@pytest.fixture(scope="module")
def faulty_here() -> Iterator[None]:
    sys.path.insert(0, str(FAULTY))
    import faulty_backend  # noqa: F401 (it registers itself)
    import faulty_study  # noqa: F401

    yield
    sys.path.remove(str(FAULTY))
    for name in ("faulty", "faulty_timed"):
        STUDIES._items.pop(name)
    BACKENDS._items.pop("faulty")
    for module in ("faulty_backend", "faulty_study"):
        sys.modules.pop(module)
