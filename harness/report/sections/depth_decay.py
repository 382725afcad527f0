"""How far does the gradient reach through time and depth?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.depth_decay import SHOWN, DepthDecays, depth_decays, through_all
from harness.report.summaries.grouping import groups, most, records
from harness.report.tables import Table
from harness.report.words import (
    listed,
    missing,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)


@question(
    "depth_decay",
    heading="How far does the gradient reach through time and depth?",
    study="depth_decay",
    order=47,
    explanation=(
        "Spectral norm of ∂hˡ_t/∂hᵐ_k from a layer l to a layer m at or below it: all paths through the "
        "unrolled network, through time in every layer and up through depth. With a skip of s steps a step "
        "also reads h_{t−s}; both recurrent matrices are then divided by √2, so that the gain stays what it "
        "was. t is the last step, or the middle one where the structure reads both ways."
    ),
)
def answer(run: Run) -> Answer | None:
    found = depth_decays(run)
    if found is None:
        return None
    whole = through_all(found)
    return Answer(
        sentence=_sentence(whole),
        details=(*_skips(whole, found), *_depths(whole), *_ahead(whole)),
        table=_table(whole, found),
        summary=found.rates,
    )


def _sentence(whole: pd.DataFrame) -> str:
    row = most(whole, "log10_typical_at_largest_lag")
    return (
        f"From the top layer down to the first the gradient reaches furthest in {_named(row)}: at lag "
        f"{plain(row['largest_lag'])} a norm of {power_of_ten(row['log10_typical_at_largest_lag'])} in the "
        f"typical case, {_half_life(row)}."
    )


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['cell']}, {row['structure']} under {row['variant']}"


def _half_life(row: Mapping[str, Any], column: str = "half_life_steps") -> str:
    if missing(row[column]):
        return "which does not fall with the lag"
    return f"halving every {significant(row[column])} steps"


def _skips(whole: pd.DataFrame, found: DepthDecays) -> list[str]:
    """Each structure with a skip beside the same one without."""
    sentences = []
    rest = [axis for axis in found.axes if axis != "structure"]
    for _, part in groups(whole, rest):
        by_name = {str(row["structure"]): row for row in records(part)}
        for name, row in by_name.items():
            plain_name, separator, steps = name.rpartition(", skip ")
            other = by_name.get(plain_name)
            if not separator or other is None or row["largest_lag"] != other["largest_lag"]:
                continue
            ends = [power_of_ten(r["log10_typical_at_largest_lag"]) for r in (row, other)]
            sentences.append(
                f"{row['cell']}, {plain_name} under {row['variant']}: skips of {steps} steps leave a norm of "
                f"{ends[0]} at lag {plain(row['largest_lag'])}, against {ends[1]} without; {_half_life(row)} "
                f"against {_half_life(other)}."
            )
    return sentences


def _depths(whole: pd.DataFrame) -> list[str]:
    """What depth alone makes of a gradient, at lag 0: one sentence for each cell and initialization."""
    return [
        f"{_network(part)}: within one step the norm from the top layer down to the first is "
        f"{_each(part, 'log10_at_lag_0')}."
        for _, part in groups(whole[whole["later_layer"] > 1], ["cell", "variant"])
    ]


def _ahead(whole: pd.DataFrame) -> list[str]:
    """What a structure that reads both ways hears of steps to come."""
    return [
        f"{_network(part)}: of the step {plain(part['farthest_ahead'].iloc[0])} ahead a step hears with a "
        f"norm of {_each(part, 'log10_ahead')}."
        for _, part in groups(whole.dropna(subset=["log10_ahead"]), ["cell", "variant", "farthest_ahead"])
    ]


def _network(part: pd.DataFrame) -> str:
    return f"{part['cell'].iloc[0]} under {part['variant'].iloc[0]}"


def _each(part: pd.DataFrame, column: str) -> str:
    return listed([f"{power_of_ten(row[column])} ({row['structure']})" for row in records(part)])


def _table(whole: pd.DataFrame, found: DepthDecays) -> Table:
    varying, constant = split_constant(whole, [a for a in found.axes if a not in (*SHOWN, "backend")])
    last = (
        *("down at lag 0", "half-life down", "half-life in the top layer", "below 1 % from lag"),
        *("longest lag", "norm there"),
    )
    rows = [
        (
            str(row["cell"]),
            str(row["structure"]),
            str(row["variant"]),
            *(plain(row[axis]) for axis in varying),
            power_of_ten(row["log10_at_lag_0"]),
            _steps(row["half_life_steps"], "none"),
            _steps(row["half_life_within"], "none"),
            _steps(row["horizon_1_percent_steps"], f"beyond {plain(row['largest_lag'])}"),
            plain(row["largest_lag"]),
            power_of_ten(row["log10_typical_at_largest_lag"]),
        )
        for row in records(whole)
    ]
    caption = phrase(
        "From the top layer down to the first: norm within one step, steps in which the norm halves (beside "
        "that, of the top layer alone), and where the median falls below 1 %",
        setting(constant),
    )
    columns = ("cell", "structure", "initialization", *map(symbol, varying), *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))


def _steps(value: float, absent: str) -> str:
    return absent if missing(value) else significant(value)
