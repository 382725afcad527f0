"""How strongly does each moment depend on each earlier one?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import VARIANT
from harness.report.summaries.jacobian_map import Maps, maps
from harness.report.tables import Table
from harness.report.words import phrase, plain, power_of_ten, setting, significant, split_constant, symbol

LARGEST = 300
"""log10 up to which a number is written with its digits."""


@question(
    "jacobian_map",
    heading="How strongly does each moment depend on each earlier one?",
    study="jacobian_map",
    order=46,
    explanation=(
        "Spectral norm of ∂s_t/∂s_k for a grid of t and k. Were the decay the same everywhere, all anchors t "
        "would give the same norm at the same lag; what differs is what the inputs make of it."
    ),
)
def answer(run: Run) -> Answer | None:
    found = maps(run)
    if found is None:
        return None
    settings = found.settings
    spread = _spread(settings)
    most = settings.iloc[int(np.nanargmax(spread))] if np.isfinite(spread).any() else settings.iloc[0]
    return Answer(
        sentence=f"The reach depends most on the place for {_named(most)}: {_between(most)}.",
        details=tuple(f"{_named(row)}: {_between(row)}." for row in settings.to_dict("records")),
        table=_table(found),
        summary=settings,
    )


def _spread(settings: pd.DataFrame) -> Any:
    """log10 of the largest over the smallest norm along the diagonal; NaN where one is exactly zero."""
    with np.errstate(invalid="ignore"):
        spread = settings["log10_high"].to_numpy(float) - settings["log10_low"].to_numpy(float)
    return np.where(np.isfinite(spread), spread, np.nan)


def _named(row: Any) -> str:
    words = [f"{row['cell']} under {row['variant']}"]
    if row.get("inputs"):
        words.append(f"{row['inputs']} inputs")
    if row.get("block", "hh") != "hh":
        words.append(f"block {row['block']}")
    return phrase(*words)


def _between(row: Any) -> str:
    low, high = _number(float(row["log10_low"])), _number(float(row["log10_high"]))
    where = f"over {plain(row['lag'])} steps"
    if low == high:
        return f"{where} the norm is {high} from every t"
    return (
        f"{where} the norm is {low} from t = {plain(row['t_low'])} and {high} from t = {plain(row['t_high'])}"
    )


def _number(log10: float) -> str:
    """Two digits where a float has room for them."""
    return significant(10.0**log10, 2) if abs(log10) < LARGEST else power_of_ten(log10)


def _table(found: Maps) -> Table:
    rest = [axis for axis in found.axes if axis not in ("cell", *VARIANT, "backend")]
    varying, constant = split_constant(found.settings, rest)
    rows = [
        (
            str(row["cell"]),
            str(row["variant"]),
            *(plain(row[axis]) for axis in varying),
            plain(row["lag"]),
            _number(row["log10_low"]),
            _number(row["log10_middle"]),
            _number(row["log10_high"]),
            _number(row["log10_longest"]),
        )
        for row in found.settings.to_dict("records")
    ]
    last = ("lag", "lowest", "middle", "highest", "at the longest lag")
    caption = phrase("Norms over all anchors t at one lag, medians over seeds and samples", setting(constant))
    columns = ("cell", "initialization", *map(symbol, varying), *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))
