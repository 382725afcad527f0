"""Grouping that keeps what is absent: an axis without a value is a group of its own, in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Setting = dict[str, Any]


def groups(frame: pd.DataFrame, axes: Sequence[str]) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Each combination of the axes that occurs, in order of appearance, with its rows."""
    if frame.empty:
        return
    if not axes:
        yield {}, frame
        return
    for values, part in frame.groupby(list(axes), sort=False, dropna=False):
        yield dict(zip(axes, values, strict=True)), part


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as mappings from column to value."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def least(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """The row with the smallest value; NaN is passed over."""
    return _row(frame, int(np.nanargmin(frame[column].to_numpy(float))))


def most(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """The row with the largest value; NaN is passed over."""
    return _row(frame, int(np.nanargmax(frame[column].to_numpy(float))))


def _row(frame: pd.DataFrame, position: int) -> dict[str, Any]:
    return {str(name): value for name, value in frame.iloc[position].to_dict().items()}


def only(row: Mapping[str, Any], axes: Sequence[str]) -> Setting:
    """The values of these axes."""
    return {axis: row[axis] for axis in axes}


def has(frame: pd.DataFrame, *columns: str) -> bool:
    """Are there rows, and all these columns in them?"""
    return not frame.empty and all(column in frame for column in columns)


def most_populated(frame: pd.DataFrame, axes: Sequence[str], limit: int) -> tuple[list[Setting], int]:
    """The combinations of axes that have the most cases, in the plan's order, and how many were left out.

    Ties go to the larger sizes, then to what the plan names first.
    """
    found = [
        (setting, part["key"].nunique() if "key" in part else len(part), i)
        for i, (setting, part) in enumerate(groups(frame, axes))
    ]
    ranked = sorted(found, key=lambda entry: (-entry[1], _descending(entry[0]), entry[2]))
    kept = sorted(ranked[:limit], key=lambda entry: entry[2])
    return [setting for setting, _, _ in kept], len(found) - len(kept)


def rows_of(frame: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The rows of one combination; an absent value matches an absent value."""
    mask = pd.Series(True, index=frame.index)
    for axis, value in setting.items():
        column = frame[str(axis)]
        mask &= column.isna() if pd.isna(value) else column == value
    return frame[mask]


def matches(candidate: Setting, chosen: Setting) -> bool:
    """Does every axis of `chosen` have this value in `candidate`?  An absent value equals an absent value."""
    return all(
        candidate[axis] == value or (pd.isna(candidate[axis]) and pd.isna(value))
        for axis, value in chosen.items()
    )


def in_order(frame: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The rows sorted by the axes: numbers by size, anything else in order of appearance."""
    ranks = pd.DataFrame({axis: frame[axis].map(_rank(frame[axis])) for axis in axes}, index=frame.index)
    return frame.loc[ranks.sort_values(list(axes), kind="stable").index] if axes else frame


def _rank(column: pd.Series) -> dict[Any, int]:
    return {value: rank for rank, value in enumerate(ascending(column.dropna().tolist()))}


def ascending(values: Sequence[Any]) -> list[Any]:
    """Distinct values: numbers by size, anything else in order of appearance."""
    distinct = list(dict.fromkeys(values))
    if all(isinstance(value, int | float) for value in distinct):
        return sorted(distinct)
    return distinct


def _descending(setting: Setting) -> tuple[float, ...]:
    return tuple(-float(value) for value in setting.values() if isinstance(value, int | float))
