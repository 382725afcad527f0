"""`python -m harness list`, and `--list`: what there is, by name."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.studies.study import Study


def list_command(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="plans, studies, axes (of each study), backends, cells, initializations, tasks or clipping; "
            "default: all but the axes"
        ),
    ] = None,
) -> None:
    """List what there is by name."""
    print_lists(kind)


def print_lists(kind: str | None) -> None:
    from harness.clipping import CLIPPING_RULES
    from harness.initializations import INITIALIZATIONS
    from harness.plan_file import preset_names
    from harness.studies.study import STUDIES
    from harness.training.tasks import TASKS
    from implementations.registry import BACKENDS, CELLS, did_you_mean

    lists: dict[str, Callable[[], dict[str, str]]] = {
        "plans": lambda: dict.fromkeys(preset_names(), ""),
        "studies": lambda: {name: study.question for name, study in STUDIES.items()},
        "axes": lambda: _axes(STUDIES),
        "backends": lambda: {name: _first_line(load) for name, load in BACKENDS.items()},
        "cells": lambda: {name: ", ".join(cell.gates) for name, cell in CELLS.items()},
        "initializations": lambda: {name: _first_line(f) for name, f in INITIALIZATIONS.items()},
        "tasks": lambda: {name: _first_line(inspect.getmodule(type(task))) for name, task in TASKS.items()},
        "clipping": lambda: {name: _first_line(rule.clip) for name, rule in CLIPPING_RULES.items()},
    }
    if kind is not None and kind not in lists:
        raise UserError(f"no list of {kind!r}{did_you_mean(kind, lists)}", expected=", ".join(lists))
    for title in [name for name in lists if name != "axes"] if kind is None else [kind]:
        if kind is None:
            print(title)
        entries = lists[title]()
        width = max(24, *(len(name) + 2 for name in entries))
        for name, text in entries.items():
            print(f"  {name:{width}}{text}".rstrip())


def _first_line(item: Any) -> str:
    return next(iter((item.__doc__ or "").strip().splitlines()), "")


def _axes(studies: Mapping[str, Study]) -> dict[str, str]:
    """`study.axis` -> whether it is swept, and its default."""
    from harness.studies.study import is_swept

    found: dict[str, str] = {}
    for study, definition in studies.items():
        for axis, field in definition.Axes.model_fields.items():
            kind = "swept" if is_swept(field) else "fixed"
            default = "required" if field.is_required() else f"default {_toml(field.default)}"
            found[f"{study}.{axis}"] = f"{kind}, {default}"
    return found


def _toml(value: Any) -> str:
    """A default as a plan would have it; what is absent there is said in words."""
    if isinstance(value, list):
        return json.dumps(["none" if item is None else item for item in value])
    return "absent" if value is None else json.dumps(value)
