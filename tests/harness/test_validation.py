"""Every row of the validation table passes, for the engine and for every backend that is here."""

from __future__ import annotations

import pytest

from harness.validation import CHECKS
from harness.validation.execution import rows_of
from implementations.registry import BACKENDS, CELLS, BackendUnavailable, load_backend

ENGINE = [name for name, check in CHECKS.items() if not check.of_backends]
OF_BACKENDS = [name for name, check in CHECKS.items() if check.of_backends]


def hold(name: str, subject: str, *arguments: object) -> int:
    """Every row of a check passes; how many there are."""
    rows = list(rows_of(CHECKS[name], subject, *arguments))
    failures = [row for row in rows if not row.passed]
    assert not failures, "\n".join(map(str, failures))
    return len(rows)


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine(name: str) -> None:
    assert hold(name, "engine") > 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OF_BACKENDS)
def test_backends(name: str, backend: str, dtype: str, pytestconfig: pytest.Config) -> None:
    try:
        loaded = load_backend(backend)
    except BackendUnavailable as reason:
        pytest.skip(str(reason))
    if loaded.compiles and backend not in pytestconfig.getoption("--require-backend"):
        pytest.skip(f"compiles for minutes; --require-backend {backend} checks it")
    reasons = [loaded.why_unsupported(cell, dtype, training=True) for cell in CELLS]
    if all(reasons):
        pytest.skip(str(reasons[0]))
    rows = hold(name, backend, loaded, dtype)
    assert rows > 0 or dtype != "float64"


def test_every_group_of_the_table_is_there() -> None:
    assert {check.group for check in CHECKS.values()} == {
        "one step",
        "powers",
        "products",
        "gates",
        "spectra",
        "random matrices",
        "theory",
        "initializations",
        "adjoints",
        "structures",
        "clipping",
        "backends",
    }
