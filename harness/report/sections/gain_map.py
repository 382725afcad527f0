"""At which gain does the gradient cross from vanishing to exploding?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gain_map import GainMap, gain_map
from harness.report.summaries.grouping import records, rows_of
from harness.report.summaries.rates import VERDICTS
from harness.report.tables import Table, verdict_cell
from harness.report.words import (
    counted,
    listed,
    missing,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
)

_SHOWN = ("cell", "initialization", "forget_bias", "backend")


@question(
    "gain_map",
    heading="At which gain does the gradient cross from vanishing to exploding?",
    study="gain_map",
    order=48,
    explanation=(
        "Rate of ln‖∂h_t/∂h_k‖₂ per step of lag, over gains of the recurrent weights. Mean-field theory has "
        "the crossing where χ, the growth of a perturbation's mean square per step, is 1: here for the gain "
        "and input variance of these very networks. The verdict's rule stands with each in the summary table."
    ),
)
def answer(run: Run) -> Answer | None:
    found = gain_map(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found.crossings),
        details=tuple(_detail(row) for row in found.crossings.to_dict("records")),
        table=_table(found),
        summary=found.rates,
    )


def _sentence(crossings: pd.DataFrame) -> str:
    crossed = crossings.dropna(subset=["crossing"])
    total = counted(len(crossings), "combination")
    if crossed.empty:
        return f"The gradient crosses from vanishing to stable or exploding in none of {total}."
    sentence = f"The gradient crosses from vanishing to stable or exploding in {len(crossed)} of {total}"
    known = crossed.dropna(subset=["critical_gain"])
    if known.empty:
        return f"{sentence}."
    off = np.abs(known["crossing"] / known["critical_gain"] - 1.0).to_numpy(float)
    worst = known.iloc[int(off.argmax())]
    crossing, critical = float(worst["crossing"]), float(worst["critical_gain"])
    return (
        f"{sentence}; where theory has a χ = 1 line, in {len(known)} of them, the crossing lies within "
        f"{significant(100 * off.max(), 2)} % of it, furthest off for {_named(worst)} "
        f"({significant(crossing)} against {significant(critical)})."
    )


def _named(row: Any) -> str:
    scale = row.get("input_scale")
    words = "" if missing(scale) or scale == 1 else f"input scale {plain(scale)}"
    return phrase(f"{row['cell']} under {row['line']}", words)


def _detail(row: dict[Any, Any]) -> str:
    ends = (
        f"{significant(float(row['lowest_rate']))} nats per step at gain {plain(row['lowest_gain'])}, "
        f"{significant(float(row['highest_rate']))} at {plain(row['highest_gain'])}"
    )
    if missing(row["crossing"]):
        words = [f"{_named(row)} is not seen to cross from vanishing to stable or exploding: {ends}"]
    else:
        words = [
            f"{_named(row)} is vanishing up to gain {plain(row['below_gain'])} and {row['above']} from "
            f"{plain(row['above_gain'])}; its rate is 0 at {significant(row['crossing'])}: {ends}"
        ]
    if not missing(row["critical_gain"]):
        words.append(
            f"theory has χ = 1 at {significant(row['critical_gain'])}, and is at most "
            f"{significant(row['largest_gap'], 2)} nats per step off over all gains"
        )
    return f"{'; '.join(words)}."


def _table(found: GainMap) -> Table:
    rest = [axis for axis in found.axes if axis not in (*_SHOWN, "gain")]
    varying, constant = split_constant(found.crossings, rest)
    verdicts = [v for v in VERDICTS if v != "undecided" or (found.rates["verdict"] == v).any()]
    rows = [
        (
            str(row["cell"]),
            str(row["line"]),
            *(plain(row[axis]) for axis in varying),
            "none" if missing(row["crossing"]) else significant(row["crossing"]),
            significant(row["critical_gain"]),
            *_gains(found.rates, row, found.axes, verdicts),
        )
        for row in found.crossings.to_dict("records")
    ]
    last = ("rate is 0 at gain", "χ = 1 at gain", *(f"{verdict} at" for verdict in verdicts))
    caption = phrase("Gains, by the verdict over all seeds", setting(constant))
    columns = ("cell", "initialization", *map(symbol, varying), *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last[:2], "T", "H", "B", "I"}))


def _gain(rate: dict[str, Any]) -> str:
    """A gain, with what its verdict does not see (:func:`harness.report.tables.verdict_cell`)."""
    return f"{plain(rate['gain'])}{verdict_cell(rate).removeprefix(str(rate['verdict']))}"


def _gains(rates: pd.DataFrame, row: dict[Any, Any], axes: list[str], verdicts: list[str]) -> list[str]:
    """The gains of each verdict, in one cell each."""
    part = rows_of(rates, {axis: row[axis] for axis in axes if axis != "gain"})
    cells = []
    for verdict in verdicts:
        gains = [_gain(rate) for rate in records(part[part["verdict"] == verdict])]
        cells.append(listed(gains) or "–")
    return cells
