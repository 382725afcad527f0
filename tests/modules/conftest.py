"""Threads: small problems gain nothing from them, and torch's cost much where cores are shared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """For torch, which the modules follow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def three_threads(one_thread: None) -> Iterator[None]:
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(1)
