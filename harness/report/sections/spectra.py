"""Which directions of the gradient survive?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import VARIANT
from harness.report.summaries.slices import common
from harness.report.summaries.spectra import SHOWN, Spectra, spectra
from harness.report.tables import Table
from harness.report.words import (
    counted,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)


@question(
    "spectra",
    heading="Which directions of the gradient survive?",
    study="spectra",
    order=42,
    explanation=(
        "All singular values of ∂s_t/∂s_k, the small ones too. The condition number σ₁/σ_S says how unevenly "
        "directions are kept, the log-volume Σ ln σ how much of the state space is left."
    ),
)
def answer(run: Run) -> Answer | None:
    found = spectra(run)
    if found is None:
        return None
    chosen = common(found.conditions, found.axes, SHOWN).rows
    ends = chosen[chosen["lag"] == chosen["lag"].max()]
    return Answer(
        sentence=_sentence(ends),
        details=tuple(_detail(row) for row in ends.to_dict("records")),
        table=_table(found),
        summary=found.conditions,
    )


def _named(row: Any) -> str:
    return f"{row['cell']} under {row['variant']}"


def _sentence(ends: pd.DataFrame) -> str:
    lag = plain(ends["lag"].iloc[0])
    spread = ends["log10_condition"].fillna(np.inf)
    evenest, steepest = ends.iloc[int(spread.argmin())], ends.iloc[int(spread.argmax())]
    sentence = (
        f"After {lag} steps {_named(evenest)} keeps directions most evenly, with a condition number of "
        f"{_condition(evenest)}"
    )
    if len(ends) == 1:
        return f"{sentence}."
    return f"{sentence}; {_named(steepest)} least, with {_condition(steepest)}."


def _condition(row: Any) -> str:
    value = float(row["log10_condition"])
    if np.isnan(value):
        return "no number (every singular value is zero)"
    return "∞ (some singular values are exactly zero)" if np.isinf(value) else power_of_ten(value)


def _detail(row: dict[Any, Any]) -> str:
    words = (
        f"{_named(row)}: at lag {plain(row['lag'])} the best-kept direction comes out at "
        f"{power_of_ten(row['log10_largest'])} of its size, the middle one at "
        f"{power_of_ten(row['log10_middle'])}"
    )
    if row["zeros"]:
        return f"{words}; {plain(int(row['zeros']))} of {row['state_size']} are exactly zero."
    return f"{words}, the last at {power_of_ten(row['log10_smallest'])}."


def _table(found: Spectra) -> Table:
    rest = [axis for axis in found.axes if axis not in ("cell", *VARIANT, "lag", "backend")]
    varying, constant = split_constant(found.conditions, rest)
    rows = [
        (
            str(row["cell"]),
            str(row["variant"]),
            *(plain(row[axis]) for axis in varying),
            plain(row["lag"]),
            power_of_ten(row["log10_largest"]),
            power_of_ten(row["log10_middle"]),
            power_of_ten(row["log10_smallest"]),
            power_of_ten(row["log10_condition"]),
            significant(row["log_volume"]),
            plain(int(row["zeros"])),
        )
        for row in found.conditions.to_dict("records")
    ]
    last = ("lag", "σ₁", "middle σ", "σ_S", "σ₁/σ_S", "log-volume (nats)", "exact zeros")
    seeds, observed = int(found.conditions["seeds"].max()), int(found.conditions["observations"].max())
    medians = f"Medians over {counted(seeds, 'seed')} × {counted(observed // seeds, 'sample')}"
    caption = phrase(medians, setting(constant))
    columns = ("cell", "initialization", *map(symbol, varying), *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))
