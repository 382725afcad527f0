"""How does cost grow?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, least, most, only, records
from harness.report.summaries.growth import KNOWN, Growth, growth, hardly_known
from harness.report.tables import Table
from harness.report.words import (
    NOT_AVAILABLE,
    counted,
    listed,
    missing,
    phrase,
    plain,
    setting,
    split_constant,
    symbol,
)


@question(
    "growth",
    heading="How does cost grow?",
    study="throughput",
    order=22,
    explanation=(
        "Exponents of power laws, fitted on logarithms over at least three sizes: 1 is cost in proportion to "
        "the size, below 1 a fixed cost is still being spread, 2 is four times the cost at twice the size. "
        "Intervals are 95 % t-intervals over the points, so a wide one means that no power law fits."
    ),
    optional=True,
    beside=("memory",),
)
def answer(run: Run) -> Answer | None:
    summary = growth(run)
    if summary is None:
        return None
    sentences = _ranges(summary)
    return Answer(
        sentence=sentences[0],
        details=tuple(sentences[1:]),
        table=_table(run, summary),
        summary=summary.exponents,
    )


def _ranges(summary: Growth) -> list[str]:
    """One sentence per quantity and size, time before memory, from the exponents that are known."""
    frame = summary.exponents
    varying, _ = split_constant(frame, summary.kinds)
    sentences = []
    for chosen, part in groups(frame, ["quantity", "size"]):
        letter = symbol(chosen["size"])
        sizes = f"{plain(part['smallest'].min())} to {plain(part['largest'].max())}"
        begin = f"{str(chosen['quantity']).capitalize()} grows with {letter} ({sizes})"
        sure = part[(part["high"] - part["low"]) / 2 <= KNOWN]
        rest = _rest(part)
        if sure.empty:
            sentences.append(f"{begin}, with no exponent that is known; {listed(rest)}.")
            continue
        low, high = least(sure, "exponent"), most(sure, "exponent")
        names = ["backend", *varying]
        said = (
            f"the exponent {_exponent(low)} ({setting(only(low, names))})"
            if len(sure) == 1
            else f"an exponent between {_exponent(low)} ({setting(only(low, names))}) and {_exponent(high)} "
            f"({setting(only(high, names))})"
        )
        sentences.append(f"{begin} with {said}{f'; {listed(rest)}' if rest else ''}.")
    return sentences


def _rest(part: pd.DataFrame) -> list[str]:
    """What a sentence does not tell."""
    wide, bare = int(hardly_known(part).sum()), int(part["high"].isna().sum())
    are = "is" if wide == 1 else "are"
    words = [f"{wide} known no better than to ± {KNOWN:g} {are} left out"] if wide else []
    return [*words, *([f"{bare} without an interval in the table"] if bare else [])]


def _table(run: Run, summary: Growth) -> Table | None:
    """The exponents that are known, or that no interval says of how well."""
    varying, constant = split_constant(summary.exponents, summary.kinds)
    wide = hardly_known(summary.exponents)
    frame = summary.exponents[~wide]
    if frame.empty:
        return None
    present = [name for name in run.backends if (frame["backend"] == name).any()]
    rows = []
    for chosen, part in groups(frame, ["quantity", "size", *varying]):
        cells = {row["backend"]: _exponent(row) for row in records(part)}
        rows.append(
            (
                str(chosen["quantity"]),
                symbol(chosen["size"]),
                f"{plain(part['smallest'].min())}–{plain(part['largest'].max())}",
                *(plain(chosen[axis]) for axis in varying),
                *(cells.get(name, NOT_AVAILABLE) for name in present),
            )
        )
    left_out = counted(int(wide.sum()), "exponent")
    columns = ("quantity", "in", "sizes", *map(symbol, varying), *present)
    caption = phrase(
        "Exponent ± half of its 95 % t-interval",
        setting(constant),
        "no ± where no point is to spare" if frame["high"].isna().any() else "",
        f"{left_out} known no better than to ± {KNOWN:g} left out" if wide.any() else "",
    )
    return Table(columns, tuple(rows), caption + ".", frozenset(present))


def _exponent(row: Mapping[str, Any]) -> str:
    half = (row["high"] - row["low"]) / 2
    text = _two_places(row["exponent"])
    return text if missing(half) else f"{text} ± {_two_places(half)}"


def _two_places(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
