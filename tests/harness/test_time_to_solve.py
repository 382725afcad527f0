"""The same training on two backends: the same losses at the start, each with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.case import Case
from harness.local import is_timed
from harness.measure.agreement import Disagreement
from harness.measure.problem import Problem
from harness.outcome import Measured
from harness.studies import learning, training_record
from harness.studies.study import STUDIES, Context
from harness.training.evaluate import batch_of, score
from implementations.registry import load_backend
from tests.harness.studying import points

TINY: dict[str, Any] = {
    "cell": ["lstm"], "seq_len": [6], "hidden_size": [8], "batch_size": 16, "learning_rate": [0.02],
    "forget_bias": [1.0], "steps": 12, "check_every": 6,
}  # fmt: skip


def measured(backend: str) -> Measured:
    study = STUDIES["time_to_solve"]
    (point,) = points("time_to_solve", backend=[backend], **TINY)
    found = study.measure(Case("time_to_solve", point), Context(load_backend(backend), 1, None, 0.1, 60.0))
    assert isinstance(found, Measured)
    return found


def test_backends_learn_the_same() -> None:
    ours, theirs = (pd.DataFrame(measured(backend).columns) for backend in ("numba", "torch"))
    for quantity in ("step", "score"):
        first, second = (
            rows[rows["quantity"] == quantity]["loss"].to_numpy(float) for rows in (ours, theirs)
        )
        assert len(first) == {"step": 12, "score": 2}[quantity]
        np.testing.assert_allclose(first, second, rtol=1e-4)


def test_no_time_is_shown_of_what_is_not_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured("numba").facts["relative_error"] < 1e-4
    reference = Problem.reference

    def other(problem: Problem, *, training: bool) -> dict[str, np.ndarray]:
        found = dict(reference(problem, training=training))
        return {**found, "grad_weight_hh": 1.1 * found["grad_weight_hh"]}

    monkeypatch.setattr(Problem, "reference", other)
    with pytest.raises(Disagreement, match="grad_weight_hh differs from the float64 reference"):
        measured("numba")


def test_it_is_timed_and_compares_two_backends_unless_told_otherwise() -> None:
    found = points("time_to_solve", **TINY)
    assert [point["backend"] for point in found] == ["numba", "torch"]
    assert all(is_timed(Case("time_to_solve", point)) for point in found)
    assert not is_timed(Case("learning", found[0]))


def test_trials_are_no_time_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second in each step, and by a hundred in each trial."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now

    def passing(seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any, **options: Any) -> Any:
            clock.now += seconds
            return function(*arguments, **options)

        return slow

    monkeypatch.setattr(training_record, "time", clock)
    monkeypatch.setattr(training_record, "score", passing(100.0, score))
    monkeypatch.setattr(learning, "batch_of", passing(1.0, batch_of))
    found = measured("numpy")
    assert [value for value in found.columns["seconds"] if value is not None] == [6.0, 12.0]
    assert found.facts["training_seconds"] == 12.0
    assert found.facts["checking_seconds"] == 200.0
