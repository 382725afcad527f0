"""Unsupported is not failed: what a study can know beforehand it says before it measures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.case import Case
from harness.studies.study import STUDIES, Context, is_swept
from implementations.registry import load_backend
from tests.harness.studying import points

REFUSED = {"cell": "rnn_tanh", "initialization": "chrono"}
"""A cell without a gate that keeps the state, and an initialization of that gate."""
KNOWN = {**REFUSED, "seq_len": 300, "backend": "numpy", "structure": "1 layer", "surface": "trained"}


def cases(study: str, **given: Any) -> list[Case]:
    """All cases of a study at its least sizes, with some axes given."""
    fields = STUDIES[study].Axes.model_fields
    values = {name: {**KNOWN, **given}.get(name, 2) for name in fields if fields[name].is_required()}
    values |= {name: value for name, value in {**KNOWN, **given}.items() if name in fields}
    axes = {name: [value] if is_swept(fields[name]) else value for name, value in values.items()}
    return [Case(study, point) for point in points(study, **axes)]


def context(backend: str = "numpy", max_seconds: float = 600.0) -> Context:
    return Context(load_backend(backend), 1, None, 0.1, max_seconds)


@pytest.mark.parametrize(
    "study", [name for name in STUDIES if "initialization" in STUDIES[name].Axes.model_fields]
)
def test_an_initialization_that_the_cell_cannot_have_is_unsupported(study: str) -> None:
    found = cases(study)
    assert found
    for case in found:
        assert "rnn_tanh has none" in str(STUDIES[study].why_not(case, context()))


def test_a_surface_that_cannot_be_trained_is_unsupported() -> None:
    study, start = STUDIES["error_surface"], {"initialization": "orthogonal", "grid": 5, "hidden_size": 4}
    (case,) = cases("error_surface", **start)
    assert study.why_not(case, context()) is None
    assert "max_seconds" in str(study.why_not(case, context(max_seconds=1e-6)))
    # a million steps on one unit are none of the plane's
    long = replace(case, axes={**case.axes, "descent_steps": 10**6})
    assert study.why_not(long, context()) is None
    assert "max_seconds" in str(
        study.why_not(replace(case, axes={**case.axes, "plane_steps": 10**6}), context())
    )
    (missing,) = cases("error_surface", **{**start, "cell": "lstm_peephole"})
    assert "torch.nn" in str(study.why_not(missing, context("torch")))
    (power,) = cases("error_surface", surface="power")
    assert study.why_not(power, context(max_seconds=1e-6)) is None
