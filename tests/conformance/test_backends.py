"""Every check on every registered backend, cell and dtype: nothing here is listed by hand.

A backend whose library or device is absent skips with its reason, or fails under `--require-backend`;
a cell that a backend does not have skips with the backend's reason, and so does a check that trains where
the backend cannot.  A backend that compiles at every shape is checked on a sample, unless it is required.
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
SAMPLE = ("lstm", "float32")
SAMPLE_CHECKS = (
    "check_output",
    "check_lengths",
    "check_lengths_shorter_than_the_inputs_backward",
    "check_every_parameter_has_its_gradient",
    "check_tape_serves_once",
    "check_update_equals_a_fresh_bind",
)
"""What a backend that compiles for minutes is held to where nobody requires it."""
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


def sampled(name: str, config: pytest.Config) -> bool:
    """Whether a backend is checked on a sample alone: compilation would take minutes."""
    found = loaded(name)
    return not isinstance(found, str) and found.compiles and name not in required(config)


def required(config: pytest.Config) -> list[str]:
    return list(config.getoption("--require-backend"))


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
        and (not sampled(case[0], metafunc.config) or (check in SAMPLE_CHECKS and case[1:] == SAMPLE))
    ]
    metafunc.parametrize(("check", "backend", "cell", "dtype"), wanted)


def test_backend(check: Check, backend: str, cell: str, dtype: str) -> None:
    found = loaded(backend)
    try:
        check(found, cell, dtype)
    except UnsupportedCase as refusal:
        # a backend that trains may refuse nothing that it has said it supports
        if found.why_unsupported(cell, dtype, training=True) is None:
            raise
        pytest.skip(str(refusal))


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
        if name in required(pytestconfig):
            pytest.fail(f"required, and unavailable: {found}")
        pytest.skip(found)
    assert found.name == name


@pytest.mark.parametrize("name", BACKENDS)
def test_checked_in_full(name: str, pytestconfig: pytest.Config) -> None:
    if sampled(name, pytestconfig):
        pytest.skip(f"compiles for minutes: a sample was checked; --require-backend {name} checks it in full")


def test_required_backends_exist(pytestconfig: pytest.Config) -> None:
    for name in required(pytestconfig):
        assert name in BACKENDS, BACKENDS.miss(name)
