"""Every check on every registered backend, cell and dtype: nothing here is listed by hand.

A backend whose library or device is absent skips with its reason, or fails under `--require-backend`;
a cell that a backend does not have skips with the backend's reason.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache

import pytest

from implementations import BACKENDS, CELLS, Backend, BackendUnavailable, UnsupportedCase, load_backend
from tests import conformance
from tests.conformance.scene import bind, draw

Check = Callable[[Backend, str, str], None]
DTYPES = ("float64", "float32")
CHECKS: dict[str, Check] = {
    name: function
    for module in pkgutil.iter_modules(conformance.__path__)
    if module.name.startswith("checks_")
    for name, function in inspect.getmembers(
        importlib.import_module(f"{conformance.__name__}.{module.name}"), inspect.isfunction
    )
    if name.startswith("check_")
}
"""Every `check_…` of every module `checks_…` in this folder."""


@cache
def loaded(name: str) -> Backend | str:
    """The backend, or the reason why there is none."""
    try:
        return load_backend(name)
    except BackendUnavailable as error:
        return str(error)


def concerns(check: Check, cell: str, dtype: str) -> bool:
    """Whether a check is meant for this cell and dtype: for all, unless it says otherwise."""
    dtypes, cells = getattr(check, "dtypes", ()), getattr(check, "cells", ())
    return (not dtypes or dtype in dtypes) and (not cells or cell in cells)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "check" not in metafunc.fixturenames and "refused" not in metafunc.fixturenames:
        return
    present = [(name, found) for name in BACKENDS if not isinstance(found := loaded(name), str)]
    cases = [(name, b, cell, dtype) for name, b in present for cell in CELLS for dtype in DTYPES]
    if "refused" in metafunc.fixturenames:
        refused = [(n, cell, dtype) for n, b, cell, dtype in cases if b.why_unsupported(cell, dtype)]
        metafunc.parametrize("refused", refused, ids="-".join)
        return
    supported = [(n, cell, dtype) for n, b, cell, dtype in cases if not b.why_unsupported(cell, dtype)]
    wanted = [
        pytest.param(CHECKS[check], *case, id="-".join((check.removeprefix("check_"), *case)))
        for case in supported
        for check in CHECKS
        if concerns(CHECKS[check], *case[1:])
    ]
    metafunc.parametrize(("check", "backend", "cell", "dtype"), wanted)


def test_backend(check: Check, backend: str, cell: str, dtype: str) -> None:
    check(loaded(backend), cell, dtype)


def test_refused_cell(refused: tuple[str, str, str]) -> None:
    """The reason is a sentence, `bind` raises it, and no other function is computed in its place."""
    name, cell, dtype = refused
    backend = loaded(name)
    reason = backend.why_unsupported(cell, dtype)
    assert isinstance(reason, str)
    assert reason.strip()
    with pytest.raises(UnsupportedCase) as caught:
        bind(backend, draw(cell, dtype), dtype)
    assert reason in str(caught.value)
    pytest.skip(reason)


@pytest.mark.parametrize("name", BACKENDS)
def test_available(name: str, pytestconfig: pytest.Config) -> None:
    found = loaded(name)
    if isinstance(found, str):
        assert found.startswith(f"{name}: ")
        if name in pytestconfig.getoption("--require-backend"):
            pytest.fail(f"required, and unavailable: {found}")
        pytest.skip(found)
    assert found.name == name


def test_required_backends_exist(pytestconfig: pytest.Config) -> None:
    for name in pytestconfig.getoption("--require-backend"):
        assert name in BACKENDS, BACKENDS.miss(name)
