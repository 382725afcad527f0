"""The guards of a run, taken out one by one: the test that the page names for each is seen to fail."""

from __future__ import annotations

import pytest

from tests.faults import matrix
from tests.meta.guards import GUARDS, Guard, table

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=GUARDS, ids=lambda guard: guard.name.replace(" ", "-"))
def guard(request) -> Guard:
    return request.param


def test_with_the_guard_its_test_passes(guard: Guard, tmp_path, monkeypatch) -> None:
    guard.call(guard.check, tmp_path, monkeypatch)


def test_without_the_guard_its_test_fails(guard: Guard, tmp_path, monkeypatch) -> None:
    guard.remove(monkeypatch)
    try:
        guard.call(guard.check, tmp_path, monkeypatch)
    except (Exception, pytest.fail.Exception):  # whatever it is: the same call passes with the guard
        return
    pytest.fail(f"{guard.test} passes without {guard.where}")


def test_the_page_names_these_guards_and_no_others(request) -> None:
    if request.config.getoption("--write-faults"):
        matrix.write("guards", table())
    assert matrix.section("guards") == table()
