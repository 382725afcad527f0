"""How far does the gradient reach through time and depth?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.depth_decay import (
    SHOWN,
    DepthDecays,
    depth_decays,
    late,
    skip_of,
    through_all,
)
from harness.report.summaries.grouping import groups, most, records
from harness.report.tables import Table
from harness.report.words import (
    known,
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
        sentence=_sentence(whole, found),
        details=(*_skips(whole, found), *_depths(whole, found), *_ahead(whole, found)),
        table=_table(whole, found),
        summary=found.rates,
    )


def _sentence(whole: pd.DataFrame, found: DepthDecays) -> str:
    """Of the networks that were followed furthest, the one with the largest norm at the end."""
    longest = whole[whole["largest_lag"] == whole["largest_lag"].max()]
    window = max(map(skip_of, longest["structure"]))
    row = most(longest.assign(late=[late(found, row, window) for row in records(longest)]), "late")
    return (
        f"From the top layer down to the first the gradient reaches furthest in {_named(row)}: a median norm "
        f"of {_late(row, row['late'], window)}, {_half_life(row)}."
    )


def _late(row: Mapping[str, Any], norm: float, window: int) -> str:
    """ "0.01 at lag 119"; of the largest within the last lags "up to 0.01 at lags 104 to 119"."""
    last = int(row["largest_lag"])
    if window == 1:
        return f"{power_of_ten(norm)} at lag {last}"
    return f"up to {power_of_ten(norm)} at lags {last - window + 1} to {last}"


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
            window = skip_of(name)
            ends = [late(found, r, window) for r in (row, other)]
            sentences.append(
                f"{row['cell']}, {plain_name} under {row['variant']}: skips of {steps} steps leave a norm of "
                f"{_late(row, ends[0], window)}, against {power_of_ten(ends[1])} without; "
                f"{_half_life(row)} against {_half_life(other)}."
            )
    return sentences


def _depths(whole: pd.DataFrame, found: DepthDecays) -> list[str]:
    """What depth alone makes of a gradient, at lag 0: one sentence for each network."""
    deep = whole[whole["later_layer"] > 1]
    return [
        f"{name}: within one step the norm from the top layer down to the first is "
        f"{_each(part, 'log10_at_lag_0')}."
        for name, part in _networks(deep, found)
    ]


def _ahead(whole: pd.DataFrame, found: DepthDecays) -> list[str]:
    """What a structure that reads both ways hears of steps to come."""
    return [
        f"{name}: of the step {plain(part['farthest_ahead'].iloc[0])} ahead a step hears with a norm of "
        f"{_each(part, 'log10_ahead')}."
        for name, part in _networks(whole.dropna(subset=["log10_ahead"]), found)
    ]


def _networks(rows: pd.DataFrame, found: DepthDecays) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each network in words, and its rows, which differ in the structure alone."""
    varying, _ = split_constant(rows, _rest(found))
    for own, part in groups(rows, ["cell", "variant", *varying]):
        sizes = setting({axis: own[axis] for axis in varying})
        yield f"{own['cell']} under {own['variant']}" + (f" ({sizes})" if sizes else ""), part


def _rest(found: DepthDecays) -> list[str]:
    return [axis for axis in found.axes if axis not in (*SHOWN, "backend")]


def _each(part: pd.DataFrame, column: str) -> str:
    return listed([f"{power_of_ten(row[column])} ({row['structure']})" for row in records(part)])


def _table(whole: pd.DataFrame, found: DepthDecays) -> Table:
    varying, constant = split_constant(whole, _rest(found))
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
            known(row["half_life_steps"], "none"),
            known(row["half_life_within"], "none"),
            known(row["horizon_1_percent_steps"], f"beyond {plain(row['largest_lag'])}"),
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
