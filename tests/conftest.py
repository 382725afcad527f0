"""Options and markers that every test folder shares."""

from __future__ import annotations

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


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None:
        return
    from implementations import BackendUnavailable, load_backend

    try:
        load_backend("cudnn")
    except BackendUnavailable as error:
        pytest.skip(str(error))
