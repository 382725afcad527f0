"""Measure one case of a study as a worker would."""

from __future__ import annotations

from typing import Any

from harness.case import Case
from harness.outcome import Measured, Unsupported, from_json, to_json
from harness.studies.study import STUDIES, Context
from implementations.registry import load_backend

SMALL: dict[str, Any] = {"seq_len": [12], "hidden_size": [5], "batch_size": 2, "seed": [0]}


def points(study: str, **axes: Any) -> list[dict[str, Any]]:
    definition = STUDIES[study]
    return list(definition.points(definition.Axes.model_validate(axes)))


def measure(study: str, *, corpus: str | None = None, **axes: Any) -> Measured | Unsupported:
    """The one case of these axes; what it measured survives the way through JSON."""
    (point,) = points(study, **axes)
    context = Context(load_backend("numpy"), 1, corpus, 0.1, 600.0)
    case = Case(study, point)
    reason = STUDIES[study].why_not(case, context)
    found = Unsupported(reason) if reason else STUDIES[study].measure(case, context)
    assert from_json(to_json(found)) == found
    return found


def measured(study: str, **options: Any) -> Measured:
    found = measure(study, **options)
    assert isinstance(found, Measured), found
    return found
