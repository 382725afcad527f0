"""How fast does the gradient decay, and how sure is that?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.decay_rates import decay_rates
from harness.report.summaries.gradient_decay import VARIANT, cell_words, variant
from harness.report.summaries.grouping import records
from harness.report.summaries.rates import VERDICTS
from harness.report.tables import RATE_COLUMNS, Table, rate_cells, verdict_cell
from harness.report.words import (
    counted,
    listed,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)

ANNEALED = 1.0
"""log10 by which the two means must differ at the largest lag to be spoken of: tenfold."""


@question(
    "decay_rates",
    heading="How fast does it decay, and how sure is that?",
    study="gradient_decay",
    order=41,
    explanation=(
        "The rate is the slope of ln‖∂h_t/∂h_k‖₂ against the lag, fitted to each seed; its 95 % interval is "
        "over seeds. Horizons are the lags from which on the median norm stays at or below 1 % and 0.1 %. "
        "The verdict is vanishing where the interval lies below 0 and the 1 % horizon was reached (or all is "
        "exactly zero), exploding where it lies above 0 and the median norm grew a hundredfold, stable where "
        "the norm did neither, else undecided."
    ),
)
def answer(run: Run) -> Answer | None:
    found = decay_rates(run)
    if found is None:
        return None
    every, axes = found
    rows = every[every["block"] == "hh"] if (every["block"] == "hh").any() else every
    return Answer(
        sentence=_sentence(rows),
        details=(*_rules(rows), *_dead(rows), *_annealed(rows)),
        table=_table(rows, axes),
        summary=every,
    )


def _named(row: Any) -> str:
    sizes = {axis: row[axis] for axis in ("inputs", "seq_len") if axis in row}
    return f"{cell_words(row)} under {variant(row, forget_bias=False)} ({setting(sizes)})"


def _sentence(rows: pd.DataFrame) -> str:
    counts = rows["verdict"].value_counts()
    verdicts = [f"{v} in {counts[v]}" for v in VERDICTS if counts.get(v)]
    sentence = f"Of {counted(len(rows), 'setting')}, the verdict is {listed(verdicts)}"
    halving = rows[(rows["verdict"] == "vanishing") & (rows["half_life_steps"] > 0)]
    if halving.empty:
        return f"{sentence}."
    order = halving["half_life_steps"].to_numpy(float)
    fast, slow = halving.iloc[int(order.argmin())], halving.iloc[int(order.argmax())]
    ends = (
        f"the gradient halves every {significant(float(fast['half_life_steps']), 2)} steps in {_named(fast)}"
    )
    if len(halving) > 1:
        ends += f" and every {significant(float(slow['half_life_steps']), 2)} in {_named(slow)}"
    return f"{sentence}; among the vanishing, {ends}."


def _rules(rows: pd.DataFrame) -> list[str]:
    """One example of each verdict, with the rule that made it."""
    examples = rows.drop_duplicates("verdict").to_dict("records")
    return [f"{_named(row)} is {row['verdict']}: {row['rule']}." for row in examples]


def _dead(rows: pd.DataFrame) -> list[str]:
    """Where a verdict is of the samples that live: how many do not."""
    some = rows[(rows["exact_zeros_at_largest_lag"] > 0) & (rows["verdict"] != "vanishing")]
    if some.empty:
        return []
    words = [
        f"{plain(row['exact_zeros_at_largest_lag'])} of {plain(row['observations_at_largest_lag'])} in "
        f"{_named(row)}"
        for row in records(some)
    ]
    return [
        "A verdict other than vanishing is of the median; at the largest lag the norms of some samples are "
        f"exactly zero all the same: {listed(words)}."
    ]


def _annealed(rows: pd.DataFrame) -> list[str]:
    """Where a few samples carry the average."""
    gap = rows["log10_annealed_at_largest_lag"] - rows["log10_typical_at_largest_lag"]
    apart = rows[(gap > ANNEALED) & (rows["log10_typical_at_largest_lag"] > -float("inf"))]
    if apart.empty:
        return []
    worst = apart.iloc[int(gap[apart.index].to_numpy(float).argmax())]
    return [
        f"In {counted(len(apart), 'setting')} the annealed mean, log E‖·‖, lies more than tenfold above the "
        "typical one, E log‖·‖, at the largest lag: a few samples carry the average. Most in "
        f"{_named(worst)}: "
        f"{power_of_ten(float(worst['log10_annealed_at_largest_lag']))} against "
        f"{power_of_ten(float(worst['log10_typical_at_largest_lag']))}."
    ]


def _table(rows: pd.DataFrame, axes: list[str]) -> Table:
    rest = [axis for axis in axes if axis not in ("cell", *VARIANT, "backend")]
    varying, constant = split_constant(rows, rest)
    cells = []
    for row in records(rows):
        cells.append(
            (
                cell_words(row),
                variant(row, forget_bias=False),
                *(plain(row[axis]) for axis in varying),
                *rate_cells(row),
                power_of_ten(row["log10_typical_at_largest_lag"]),
                power_of_ten(row["log10_annealed_at_largest_lag"]),
                verdict_cell(row),
            )
        )
    numbers = (*RATE_COLUMNS, "typical", "annealed")
    caption = phrase(
        "Rates in nats per step, half-lives and horizons in steps, typical and annealed mean norm at the "
        "largest lag",
        setting(constant),
    )
    columns = ("cell", "initialization", *map(symbol, varying), *numbers, "verdict")
    return Table(columns, tuple(cells), caption + ".", frozenset({*numbers, "T", "H", "B", "I"}))
