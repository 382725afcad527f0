"""The conformance suite, seen to fail: every fault is caught, and the control passes everything."""

from __future__ import annotations

import pytest

from implementations import CELLS
from tests.conformance.test_backends import CHECKS, DTYPES, concerns
from tests.meta.broken import FAULTS, Fault, Intact


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_is_caught(fault: Fault) -> None:
    check = CHECKS[fault.check]
    assert concerns(check, fault.cell, fault.dtype), "this check does not run on this cell at all"
    try:
        check(fault.backend(), fault.cell, fault.dtype)
    except (AssertionError, pytest.fail.Exception):
        return
    pytest.fail(f"{fault.check} passes {fault.backend.__name__}")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("check", CHECKS)
def test_the_control_passes(check: str, cell: str) -> None:
    """The wrapper that the faults are built on has none of its own: what is caught is the fault."""
    if concerns(CHECKS[check], cell, "float64"):
        CHECKS[check](Intact(), cell, "float64")


def test_every_check_runs_somewhere() -> None:
    """A filter that nothing passes would silence a check for good."""
    for name, check in CHECKS.items():
        assert any(concerns(check, cell, dtype) for cell in CELLS for dtype in DTYPES), name
        assert set(getattr(check, "cells", ())) <= set(CELLS), name
