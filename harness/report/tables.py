"""Tables: every study's observations as CSV, and a short table for people in each section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.escape import file_stem, spreadsheet
from harness.report.frames import Run, reason, status
from harness.report.words import known, listed, missing, plain, significant


@dataclass(frozen=True)
class Table:
    """A table that people read: text cells under text headings.

    Args:
        columns: the headings; numeric columns are set flush right.
        rows: text, as many as columns.
        caption: what holds for all rows, and the units.
        numeric: headings of the columns that hold numbers.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: frozenset[str] = field(default_factory=frozenset)


def cut(table: Table, limit: int) -> tuple[Table, str]:
    """At most `limit` rows of the table, in their order, and which they are; "" where it is shown whole.

    Each distinct value of the first column gets its share of them, within it each of the next, and so on;
    rows that no column tells apart are evenly spaced.
    """
    if len(table.rows) <= limit:
        return table, ""
    chosen = _spread(table.rows, list(range(len(table.rows))), limit, 0)
    rows = tuple(table.rows[i] for i in chosen)
    shown = _shown_whole(table, rows)
    over = f", spread over {listed(shown)}" if shown else ", evenly spread"
    return replace(table, rows=rows), f"{len(rows):,} of {len(table.rows):,} rows{over}"


NAMED_COLUMNS = 3
"""As many columns are named, at most, over which the rows of a cut table are spread."""


def _shown_whole(table: Table, rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The leading columns of which every value is still there; those with one value alone say nothing."""
    named = []
    for i, column in enumerate(table.columns):
        every = {row[i] for row in table.rows}
        if {row[i] for row in rows} != every:
            break
        named += [column] if len(every) > 1 else []
    return named[:NAMED_COLUMNS]


def _spread(rows: Sequence[tuple[str, ...]], among: list[int], limit: int, column: int) -> list[int]:
    """`limit` of these rows, in their order; the columns before `column` are the same in all of them."""
    if len(among) <= limit:
        return among
    if column >= len(rows[among[0]]):
        return _evenly(among, limit)
    alike: dict[str, list[int]] = {}
    for i in among:
        alike.setdefault(rows[i][column], []).append(i)
    if len(alike) > limit:
        return _evenly(among, limit)
    shares = _shares([len(part) for part in alike.values()], limit)
    parts = zip(alike.values(), shares, strict=True)
    return sorted(i for part, share in parts for i in _spread(rows, part, share, column + 1))


def _evenly(among: list[int], limit: int) -> list[int]:
    """The first, the last, and what lies evenly between; of one the first."""
    step = (len(among) - 1) / max(1, limit - 1)
    return [among[round(i * step)] for i in range(limit)]


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Equal shares of `limit`, at most each size: what a small one leaves goes to the others, the first of
    them first."""
    shares = [0] * len(sizes)
    while limit:
        for i, size in enumerate(sizes):
            if limit and shares[i] < size:
                shares[i] += 1
                limit -= 1
    return shares


@dataclass(frozen=True)
class Written:
    """One CSV file of the report: its path within the run's folder, its rows, what it holds."""

    path: str
    rows: int
    what: str


RATE_COLUMNS = ("rate", "95 % interval", "half-life", "1 % horizon", "0.1 % horizon")


def rate_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of RATE_COLUMNS, for one row with the columns of `harness.report.summaries.rates`."""
    interval, low, high = "–", row["nats_per_step_low"], row["nats_per_step_high"]
    if not missing(low) and (low, high) != (0.0, 0.0):  # what is but rounding has no interval
        interval = f"{significant(low)} to {significant(high)}"
    beyond = f"> {plain(row['largest_lag'])}"
    return (
        significant(row["nats_per_step"]),
        interval,
        known(row["half_life_steps"], "none"),
        known(row["horizon_1_percent_steps"], beyond),
        known(row["horizon_1_per_mille_steps"], beyond),
    )


def verdict_cell(row: Mapping[str, Any]) -> str:
    """The verdict of such a row, with what it does not see: norms that are exactly zero beside a median that
    is not."""
    zeros, observed = row["exact_zeros_at_largest_lag"], row["observations_at_largest_lag"]
    dead = f" ({plain(zeros)} of {plain(observed)} exactly zero)"
    return str(row["verdict"]) + (dead if zeros and row["verdict"] != "vanishing" else "")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """The frame as CSV: what is missing is an empty cell, what looks like a formula is text.

    A row is a line: a line end inside a text is written as \\n or \\r, two characters.
    """
    safe = spreadsheet(frame)
    for position, name in enumerate(safe.columns):
        column = safe[name]
        if pd.api.types.is_numeric_dtype(column):
            continue
        if any(_on_a_line(value) is not value for value in column.unique()):
            safe.isetitem(position, column.map(_on_a_line).to_numpy())
    header = [_on_a_line(name) for name in safe.columns]
    safe.to_csv(path, index=False, header=header, lineterminator="\n")


def _on_a_line(value: Any) -> Any:
    """The value itself, but for a text with line ends in it."""
    if isinstance(value, str) and ("\n" in value or "\r" in value):
        return value.replace("\r", "\\r").replace("\n", "\\n")
    return value


def write_studies(run: Run, folder: Path) -> list[Written]:
    """`<study>.csv` for every study, known to this report or not, and `not_measured.csv`."""
    written = []
    for study in run.studies:
        frame = run.frame(study)
        path = folder / f"{file_stem(study)}.csv"
        write_csv(frame, path)
        written.append(Written(f"tables/{path.name}", len(frame), f"every observation of {study}"))
    rest = not_measured(run)
    write_csv(rest, folder / "not_measured.csv")
    what = "every case that is unsupported, failed or open, with its reason"
    return [*written, Written("tables/not_measured.csv", len(rest), what)]


def summary_path(name: str) -> str:
    """Of a section's statistics, within the run's folder."""
    return f"tables/{file_stem(name)}_summary.csv"


def write_summaries(summaries: Mapping[str, pd.DataFrame], folder: Path) -> list[Written]:
    """`<name>_summary.csv` for every section that has one."""
    written = []
    for name, frame in summaries.items():
        path = summary_path(name)
        write_csv(frame, folder / Path(path).name)
        written.append(Written(path, len(frame), f"the statistics shown for {name}"))
    return written


def not_measured(run: Run) -> pd.DataFrame:
    """One row per case without a measurement: what it was, how it ended, why, and the end of its log."""
    rows = [
        {
            "status": status(entry),
            "study": entry.case.study,
            "backend": entry.case.axes.get("backend"),
            "case": str(entry.case),
            "reason": reason(entry),
            "log": getattr(entry.outcome, "log", ""),
            "key": entry.case.key,
        }
        for entry in run.entries
        if status(entry) != "measured"
    ]
    columns = ["status", "study", "backend", "case", "reason", "log", "key"]
    return pd.DataFrame(rows, columns=columns)
