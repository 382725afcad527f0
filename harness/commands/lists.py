"""`python -m harness list`, and `--list`: what there is, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from harness.errors import UserError


def list_command(
    kind: Annotated[
        str | None, typer.Argument(help="plans, studies, backends, cells or initializations")
    ] = None,
) -> None:
    """List what there is by name."""
    print_lists(kind)


def print_lists(kind: str | None) -> None:
    from harness.initializations import INITIALIZATIONS
    from harness.plan_file import preset_names
    from harness.studies.study import STUDIES
    from implementations.registry import BACKENDS, CELLS, did_you_mean

    def first_line(item: Any) -> str:
        return (item.__doc__ or "").strip().splitlines()[0]

    lists: dict[str, Callable[[], dict[str, str]]] = {
        "plans": lambda: dict.fromkeys(preset_names(), ""),
        "studies": lambda: {name: study.question for name, study in STUDIES.items()},
        "backends": lambda: {name: first_line(load) for name, load in BACKENDS.items()},
        "cells": lambda: {name: ", ".join(cell.gates) for name, cell in CELLS.items()},
        "initializations": lambda: {name: first_line(f) for name, f in INITIALIZATIONS.items()},
    }
    if kind is not None and kind not in lists:
        raise UserError(f"no list of {kind!r}{did_you_mean(kind, lists)}", expected=", ".join(lists))
    for title, entries in lists.items():
        if kind in (None, title):
            print(title if kind is None else "", end="\n" if kind is None else "")
            for name, text in entries().items():
                print(f"  {name:24}{text}".rstrip())
