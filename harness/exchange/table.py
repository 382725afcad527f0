"""A whole run as one table, every study in it: one row per observation, axes, facts and columns by name.

So that the table can become a run again, the first row of each case carries its definition and how it ended
as JSON, and the very first row the facts of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from harness.case import Case, Scalar, canonical
from harness.errors import UserError
from harness.exchange.checked import Definition, Part, embedded
from harness.exchange.format import Imported
from harness.ledger import Entry
from harness.outcome import Failed, Measured, Outcome, Unsupported
from harness.report.frames import IDENTITY, Run, reason, status

CARRIED = ("definition", "outcome", "run")
"""Columns of JSON."""
_RUN_FACTS = ("environment", "plan", "command", "started_at", "machines", "redacted")
Kind = Literal["int", "float", "bool", "str"]


class Ended(Part):
    """How a case ended; `columns`: what was observed -> (the table's column, its type)."""

    status: Literal["measured", "unsupported", "failed", "open"]
    columns: Annotated[dict[str, tuple[str, Kind]], Field(max_length=1000)] = {}
    facts: dict[str, Scalar] = {}
    reason: str = ""
    log: str = ""


class RunFacts(Part):
    facts: dict[str, Any]


def to_frame(run: Run) -> pd.DataFrame:
    """The run's table; a column that would hold numbers and words holds words."""
    axes = {name for entry in run.entries for name in entry.case.axes}
    taken = {*IDENTITY, *CARRIED}
    rows = [row for entry in run.entries for row in _rows(entry, taken, axes)]
    if not rows:
        raise UserError(f"{run.folder.name}: an empty run, nothing to export")
    rows[0]["run"] = canonical({"facts": {name: run.facts[name] for name in _RUN_FACTS if name in run.facts}})
    frame = pd.DataFrame(rows)
    first = [name for name in (*IDENTITY, *sorted(axes)) if name in frame]
    carried = [name for name in CARRIED if name in frame]
    others = [name for name in frame.columns if name not in {*first, *carried}]
    return frame[[*first, *others, *carried]].apply(_one_type)


def _rows(entry: Entry, taken: set[str], axes: set[str]) -> Iterator[dict[str, Any]]:
    case, outcome = entry.case, entry.outcome
    measured = outcome if isinstance(outcome, Measured) else Measured({})
    names = {name: _free(name, taken | axes, "column") for name in measured.columns}
    used = taken | axes | set(names.values())
    same = {
        "key": case.key,
        "study": case.study,
        "replicate": case.replicate,
        "status": status(entry),
        "reason": reason(entry),
        **{_free(name, taken, "axis"): value for name, value in case.axes.items()},
        **{_free(name, used, "fact"): value for name, value in measured.facts.items()},
    }
    first = {
        "definition": canonical(case.to_json()),
        "outcome": canonical(
            {
                "status": status(entry),
                "columns": {name: [names[name], _kind(v)] for name, v in measured.columns.items()},
                "facts": dict(measured.facts),
                "reason": reason(entry) or "",
                "log": getattr(outcome, "log", ""),
            }
        ),
    }
    observed = list(zip(*measured.columns.values(), strict=True)) or [()]
    for i, values in enumerate(observed):
        yield {**same, **dict(zip(names.values(), values, strict=False)), **(first if i == 0 else {})}


def _free(name: str, taken: Iterable[str], kind: str) -> str:
    while name in taken:
        name = f"{kind}_{name}"
    return name


def _kind(values: Sequence[Any]) -> Kind:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int"
    return "float" if kinds <= {int, float} else "str"


def _one_type(column: pd.Series) -> pd.Series:
    kinds = {type(value) for value in column.dropna()}
    if kinds <= {int, float} or len(kinds) <= 1:
        return column
    return column.map(lambda value: None if _missing(value) else str(value))


def from_frame(frame: pd.DataFrame, name: str) -> Imported:
    """The cases of a table.

    Raises:
        UserError: it is not a table that :func:`to_frame` made.
    """
    absent = [column for column in ("key", "definition", "outcome") if column not in frame]
    if absent or frame.empty:
        raise UserError(
            f"{name}: not a table of a run" + (f": no column {absent[0]!r}" if absent else ": no rows"),
            expected="one that `export` wrote",
        )
    starts = [i for i, text in enumerate(frame["definition"]) if not _missing(text)]
    if not starts or starts[0] != 0:
        raise UserError(f"{name}: row 1 defines no case", expected="the rows in the order of the export")
    items: list[tuple[Case, Outcome | None]] = []
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        part = frame.iloc[start:end]
        place = f"{name}: row {start + 1}"
        if part["key"].nunique() != 1:
            raise UserError(f"{place}: the rows of several cases", expected="the order of the export")
        items.append((_case(part, place), _outcome(part, place)))
    recorded = embedded(RunFacts, frame["run"].iloc[0] if "run" in frame else None, f"{name}: run")
    facts = {} if recorded is None else {n: v for n, v in recorded.facts.items() if n in _RUN_FACTS}
    if not isinstance(facts.get("environment", {}), dict):
        raise UserError(f"{name}: run: environment is no mapping")
    return Imported(facts, items)


def _case(part: pd.DataFrame, place: str) -> Case:
    found = embedded(Definition, part["definition"].iloc[0], f"{place}: definition")
    assert found is not None
    return found.case(f"{place}: definition")


def _outcome(part: pd.DataFrame, place: str) -> Outcome | None:
    ended = embedded(Ended, part["outcome"].iloc[0], f"{place}: outcome")
    match ended:
        case None | Ended(status="open"):
            return None
        case Ended(status="unsupported"):
            return Unsupported(ended.reason)
        case Ended(status="failed"):
            return Failed(ended.reason, ended.log)
    columns: dict[str, list[Scalar]] = {}
    for observed, (column, kind) in ended.columns.items():
        if column not in part:
            raise UserError(f"{place}: column {column!r} is missing")
        columns[observed] = [_value(value, kind, f"{place}: {column}") for value in part[column]]
    try:
        return Measured(columns, ended.facts)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error


def _value(value: Any, kind: Kind, place: str) -> Scalar:
    if _missing(value):
        return None
    try:
        match kind:
            case "int":
                number = float(value)
                return int(number) if abs(number) < 2**53 else int(value)
            case "float":
                return float(value)
            case "bool":
                return str(value) == "True"
            case "str":
                return str(value)
    except (ValueError, OverflowError):
        raise UserError(f"{place}: no number", got=str(value)[:40]) from None


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value == "" or (isinstance(value, float) and math.isnan(value))
