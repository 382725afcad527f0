"""A comparison as Markdown for a pull request: a sentence, a table, what could not be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.compare.compare import Comparison, Row
from harness.compare.hardware import describe
from harness.compare.series import TIME
from harness.report import escape
from harness.report.frames import Run
from harness.report.words import (
    counted,
    known,
    listed,
    mebibytes,
    milliseconds,
    missing,
    plain,
    significant,
    symbol,
)

ROWS = 60
ALONE = 6
"""Settings of one run alone that are named; more are counted."""
"""In Markdown; the CSV has them all."""
_ORDER = ("slower", "larger", "faster", "smaller", "ambiguous", "invalid", "same")
_MARKS = {"slower": "🔴", "larger": "🔴", "faster": "🟢", "smaller": "🟢", "same": "⚪", "ambiguous": "🟡"}


def markdown(comparison: Comparison, *, limit: float | None = None, figure: str | None = None) -> str:
    """The page.

    Args:
        limit: what `--fail-on` allows.
        figure: a file name to show.
    """
    rows = in_order(comparison.rows)
    lines = [
        f"### {_cell(_name(comparison.old))} → {_cell(_name(comparison.new))}",
        "",
        _sentence(comparison),
    ]
    if limit is not None:
        lines += ["", _judgement(comparison, limit)]
    if comparison.hardware:
        lines += [
            "",
            f"> **Different hardware**, nothing is judged: {_cell('; '.join(comparison.hardware))}.",
        ]
    if figure is not None:
        lines += ["", f"![Change of each case, with its interval]({figure})"]
    lines += ["", *_table(rows[:ROWS], comparison.relative_to)]
    if len(rows) > ROWS:
        lines += ["", f"… and {len(rows) - ROWS} more rows."]
    for case, reason in comparison.lost:
        lines += ["", f"- measured before, and now {_cell(reason)}: {_cell(case)}"]
    lines += ["", _remarks(comparison)]
    return "\n".join(lines) + "\n"


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The worst first, within a verdict the largest change first."""
    size = {"faster": 1, "smaller": 1}
    return sorted(rows, key=lambda row: (_ORDER.index(row.word), size.get(row.word, -1) * row.change.value))


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Every row, tidy; changes are new over old."""
    return pd.DataFrame(
        [
            {
                "metric": row.metric,
                **row.group,
                "cases": row.cases,
                "old": row.old,
                "new": row.new,
                "change": row.change.value,
                "change_low": row.change.low,
                "change_high": row.change.high,
                "processes": row.change.processes,
                "verdict": row.word,
                "reason": row.reason,
            }
            for row in rows
        ]
    )


def varying(rows: Sequence[Row]) -> list[str]:
    """Axes that tell the rows apart; all where nothing does."""
    names = list(dict.fromkeys(name for row in rows for name in row.group))
    return [name for name in names if len({str(row.group.get(name)) for row in rows}) > 1] or names


def _sentence(comparison: Comparison) -> str:
    counts = Counter(row.word for row in comparison.rows)
    words = listed([f"**{counts[word]} {word}**" for word in _ORDER if counts[word]])
    return f"{counted(len(comparison.rows), 'comparison')}: {words}." if words else "Nothing to compare."


def _judgement(comparison: Comparison, limit: float) -> str:
    bad = len(comparison.regressions(limit)) + len(comparison.lost)
    if bad:
        return f"**{counted(bad, 'regression')} beyond {100 * limit:g} %.**"
    left = len(comparison.rows) - comparison.judged
    invalid = f"; {left} more could not be judged" if left else ""
    return f"No regression beyond {100 * limit:g} % in {counted(comparison.judged, 'comparison')}{invalid}."


def _table(rows: Sequence[Row], relative_to: str | None) -> list[str]:
    if not rows:
        return []
    names = varying(rows)
    columns = ["verdict", "metric", *map(symbol, names), "before", "now", "change", "95 % interval"]
    rule = ["---", "---", *("---" for _ in names), "---:", "---:", "---:", "---"]
    return [
        _line(columns),
        f"| {' | '.join(rule)} |",
        *(_line(_cells(row, names, relative_to)) for row in rows),
    ]


def _cells(row: Row, names: Sequence[str], relative_to: str | None) -> list[str]:
    unit = "MiB" if row.metric != TIME else "ms" if relative_to is None else f"of {relative_to}"
    amount = {"MiB": mebibytes, "ms": milliseconds}.get(unit, known)
    word = f"{_MARKS.get(row.word, '⚫')} {row.word}"
    interval = "" if missing(row.change.low) else f"{_percent(row.change.low)} … {_percent(row.change.high)}"
    return [
        f"{word} ({row.reason})" if row.word == "invalid" else word,
        row.metric,
        *(("" if missing(row.group.get(name)) else plain(row.group.get(name))) for name in names),
        f"{amount(row.old)} {unit}",
        f"{amount(row.new)} {unit}",
        _percent(row.change.value),
        interval,
    ]


def _percent(ratio: float) -> str:
    if missing(ratio):
        return "n/a"
    if abs(ratio - 1) < 0.0005:
        return "0 %"
    return f"{'+' if ratio > 1 else '−'}{significant(abs(100 * (ratio - 1)), 2)} %"


def _remarks(comparison: Comparison) -> str:
    old, new = comparison.alone
    words = [
        "Change: now over before, geometric mean over processes with Welch's 95 % interval; verdicts at a "
        "false-discovery rate of 5 % over all rows."
    ]
    if comparison.relative_to is not None:
        words.append(
            f" A time is a multiple of {_cell(comparison.relative_to)}'s in the same rounds of the same run: "
            "what the machine did to both cancels."
        )
    if any(row.metric != TIME for row in comparison.rows):
        words.append(f" A peak is the same within {100 * comparison.threshold:g} % or 1 MiB.")
    for when, names in (("before", old), ("now", new)):
        if names:
            more = f" and {len(names) - ALONE} more" if len(names) > ALONE else ""
            words.append(f" Measured only {when}: {_cell('; '.join(names[:ALONE]))}{more}.")
    machine = listed([f"{name} {value}" for name, value in describe(comparison.new).items()])
    if machine:
        words.append(f" Machine: {_cell(machine)}.")
    return "".join(words)


def _name(run: Run) -> str:
    environment = run.facts.get("environment")
    git = environment.get("git") if isinstance(environment, dict) else None
    commit = f" ({str(git.get('commit'))[:10]}{', changed' if git.get('dirty') else ''})" if git else ""
    return f"{run.facts.get('run_id') or run.folder.name}{commit}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) or ' ' for cell in cells)} |"


def _cell(text: Any) -> str:
    """Escaped for Markdown; on GitHub a name would call somebody, a number link to an issue."""
    return escape.markdown(text).replace("@", "&#64;").replace("#", "&#35;").replace("&&#35;", "&#")
