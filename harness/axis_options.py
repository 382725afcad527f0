"""What the options `--axis NAME=VALUES` say: text, read as the values of an axis."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import UserError
from harness.plan import Plan
from harness.studies.study import STUDIES, is_swept

QUOTED = """NAME='"VALUE, WITH COMMAS",VALUE'"""


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """`seq_len=64,256` -> ("seq_len", [64, 256]); what stands in double quotes keeps its commas.

    Raises:
        UserError: text that is not of this form.
    """
    name, separator, values = text.partition("=")
    name = name.strip()
    if not separator or not name or not values.strip():
        raise UserError(f"--axis {text!r}", expected="NAME=VALUE,VALUE", got=text or "nothing")
    try:
        (fields,) = csv.reader([values.strip()], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:  # a line break makes two rows of it
        raise UserError(
            f"--axis {name}: cannot be read: {error}", expected=f"values, or values in quotes: {QUOTED}"
        ) from error
    return name, [_literal(value.strip(), name) for value in fields]


def read_axes(plan: Plan, texts: Iterable[str]) -> dict[str, list[Any]]:
    """What the options `--axis` say together: axis -> its values; an axis that is named again has more.

    A value may hold commas, as that of `structure` does: what the plan's studies refuse in pieces and take
    whole is one value.

    Raises:
        UserError: text that cannot be read, or several such values without quotes.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, values = parse_axis(text)
        found.setdefault(name, []).extend(_put_together(plan, name, values))
    return found


def _put_together(plan: Plan, axis: str, values: list[Any]) -> list[Any]:
    """The values, or the one value of which they are pieces."""
    fields = [STUDIES[study].Axes.model_fields.get(axis) for study in plan.studies]
    swept: list[TypeAdapter[Any]] = [
        TypeAdapter(field.annotation)  # type: ignore[arg-type]  # a field of a model has one
        for field in fields
        if field is not None and is_swept(field)
    ]

    def taken(candidate: list[Any]) -> bool:
        return any(_fits(adapter, candidate) for adapter in swept)

    if len(values) == 1 or not all(isinstance(value, str) for value in values) or taken(values):
        return values
    if taken([", ".join(values)]):
        return [", ".join(values)]
    if any(taken([f"{one}, {next_}"]) for one, next_ in itertools.pairwise(values)):
        refused = next(value for value in values if not taken([value]))
        raise UserError(
            f"--axis {axis}: {refused!r} is no value by itself",
            remedy=f"put values that have commas in quotes: --axis {QUOTED}; or say --axis once for each",
        )
    return values


def _fits(adapter: TypeAdapter[Any], values: list[Any]) -> bool:
    try:
        adapter.validate_python(values)
    except ValidationError:
        return False
    return True


def _literal(text: str, axis: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
    except (ValueError, RecursionError) as error:  # a number of too many digits; brackets without end
        raise UserError(
            f"--axis {axis}: cannot be read",
            expected="numbers or words",
            got=f"{text[:20]}… ({len(text)} characters)",
        ) from error
