"""Rules × places as the axes of a study: each combination once for what it looks at, none left out unsaid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.case import Scalar
from harness.clipping import CLIPPING_RULES
from harness.clipping.clipping import why_not
from harness.studies.study import once


def each_once(points: Iterable[dict[str, Scalar]], steps: str) -> Iterator[dict[str, Scalar]]:
    """The points, each once for what its rule does not look at.

    A rule × place that cannot be had comes once, for the first network it was asked for: the plan says that
    it cannot be had, and says it once.

    Args:
        steps: the axis that holds how many steps back "truncated" goes.
    """
    return once(_told_apart(points, steps))


def _told_apart(points: Iterable[dict[str, Scalar]], steps: str) -> Iterator[dict[str, Scalar]]:
    refused: set[tuple[Scalar, Scalar]] = set()
    for point in points:
        needs = CLIPPING_RULES[str(point["rule"])].needs
        if not needs:
            point = {**point, "place": "parameters"}
        if "steps" not in needs:
            point = {**point, steps: None}
        refusal = why_not_had(point)
        if "threshold" not in needs or refusal:
            point = {**point, "threshold": None}
        pair = (point["rule"], point["place"])
        if pair not in refused:
            yield point
        if refusal:
            refused.add(pair)


def why_not_had(axes: Mapping[str, Any]) -> str | None:
    """Why this rule cannot be had at this place, or None where it can."""
    return why_not(str(axes["rule"]), str(axes["place"]))


def require_steps(rules: Iterable[str], steps: int | None, axis: str) -> None:
    """Refuse a rule that goes some steps back where the axis that says how many is left open.

    Raises:
        ValueError: it is.
    """
    for rule in rules:
        if steps is None and "steps" in CLIPPING_RULES[rule].needs:
            raise ValueError(f"rule {rule!r} needs {axis}, how many steps back it goes, got none")
