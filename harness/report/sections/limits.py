"""How close does each backend come to what this machine can do?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.machines import apart, with_place
from harness.report.questions import Answer, question
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups, least, most, only, records
from harness.report.summaries.limits import Limits, limits
from harness.report.tables import Table
from harness.report.words import (
    NOT_AVAILABLE,
    counted,
    listed,
    missing,
    percent,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
)

RESTS_ON = {"compute": "its products", "bandwidth": "a copy"}


@question(
    "limits",
    heading="How close does each backend come to what this machine can do?",
    study="limits",
    order=15,
    explanation=(
        "The library's rate at the shapes of a case is that at which its matrix products take the time of "
        "products of the very same shapes by this machine's own library, or its arrays the time of a copy "
        "where they do not fit the last-level cache, whichever is longer. It is no limit: who multiplies "
        "faster than the library at a shape is above 100 %. Measured in the same run, with the same threads. "
        "Activations are left out of it, and so is what a call costs."
    ),
    beside=("throughput",),
)
def answer(run: Run) -> Answer | None:
    summary = limits(run)
    if summary is None:
        return None
    sentences = [*_shares(summary), *_machine(summary)]
    return Answer(
        sentence=sentences[0],
        details=(*sentences[1:], *_own_products(summary), *_bounds(summary), *_beyond(summary)),
        table=_table(run, summary) if not summary.frame.empty else None,
        summary=summary.frame if not summary.frame.empty else summary.rates,
    )


def _shares(summary: Limits) -> list[str]:
    """One sentence per backend, the one that comes closest first."""
    if summary.frame.empty:
        return []
    varying, _ = split_constant(summary.frame, summary.axes)
    found = []
    for chosen, part in groups(summary.frame, ["backend", *apart(summary.axes)]):
        backend = with_place(chosen["backend"], chosen)
        mean = geometric_mean(part["share"])
        low, high = least(part, "share"), most(part, "share")
        words = f"{backend} reaches {percent(mean)} of the library's rate at these shapes"
        if len(part) > 1:
            words += (
                f" in the geometric mean over {counted(len(part), 'case')}, from {percent(low['share'])} "
                f"({setting(only(low, varying))}) to {percent(high['share'])} "
                f"({setting(only(high, varying))})"
            )
        found.append((mean, f"{words}."))
    return [sentence for _, sentence in sorted(found, key=lambda entry: -entry[0])]


def _machine(summary: Limits) -> list[str]:
    """The machine's own rates where nothing is narrow."""
    sentences = []
    for (machine, device), part in summary.rates.groupby(["machine", "device"], sort=True, dropna=False):
        name = "this machine" if missing(machine) else f"machine {machine}"
        words = [
            f"{significant(row['rate'] / 1e9)} GFLOP/s in a large {row['dtype']} product"
            for row in records(part[part["kernel"] == "large_product"])
        ]
        words += [
            f"{significant(row['rate'] / 1e9)} GB/s in a copy (read and written)"
            for row in records(part[part["kernel"] == "copy"])
        ]
        if words:
            sentences.append(f"On the {device} {name} reaches {listed(words)}.")
    return sentences or [f"{counted(len(summary.rates), 'rate')} of this machine were measured."]


def _own_products(summary: Limits) -> list[str]:
    """How near a backend's own recurrent product comes to the large product of a library."""
    sentences = []
    for (machine, backend), part in summary.own.groupby(["machine", "backend"], sort=True, dropna=False):
        name = with_place(str(backend), {"machine": machine})
        low, high = least(part, "share_of_large"), most(part, "share_of_large")
        words = [
            f"{percent(row['share_of_large'])} ({row['rows']:.0f} × {row['inner']:.0f} by "
            f"{row['inner']:.0f} × {row['columns']:.0f})"
            for row in ([low] if len(part) == 1 else [low, high])
        ]
        reached = words[0] if len(part) == 1 else f"from {words[0]} to {words[1]}"
        sentences.append(
            f"The recurrent product of {name}, by itself, reaches {reached} of the large product's rate."
        )
    return sentences


def _bounds(summary: Limits) -> list[str]:
    if summary.frame.empty:
        return []
    counts = summary.frame.drop_duplicates(summary.axes)["bound"].value_counts()
    words = [f"{RESTS_ON.get(str(bound), str(bound))} in {number}" for bound, number in counts.items()]
    return [f"The library's rate is that of {listed(words)} of {counted(int(counts.sum()), 'case')}."]


def _beyond(summary: Limits) -> list[str]:
    if summary.frame.empty:
        return []
    beyond = summary.frame[summary.frame["share"] > 1]
    if beyond.empty:
        return []
    names = listed(sorted(beyond["backend"].unique()))
    return [
        f"{counted(len(beyond), 'share')} above 100 % ({names}): there a backend is faster than the library "
        f"at these shapes, at up to {percent(beyond['share_of_large'].max())} of the large "
        f"product's rate."
    ]


def _table(run: Run, summary: Limits) -> Table:
    frame = summary.frame
    varying, constant = split_constant(frame, summary.axes)
    present = [name for name in run.backends if (frame["backend"] == name).any()]
    own = [name for name in present if (summary.own["backend"] == name).any()]
    heads = [f"{name}'s recurrent product" for name in own]
    rows = []
    for chosen, part in groups(frame, summary.axes):
        cells = {row["backend"]: _cell(row) for _, row in part.iterrows()}
        products = {row["backend"]: _product_cell(row) for _, row in part.iterrows()}
        rows.append(
            (
                *(plain(chosen[axis]) for axis in varying),
                significant(part["limit_flop_per_second"].max() / 1e9),
                listed(sorted(part["bound"].unique())),
                *(products.get(name, NOT_AVAILABLE) for name in own),
                *(cells.get(name, NOT_AVAILABLE) for name in present),
            )
        )
    caption = phrase(
        "GFLOP/s reached, and the share of the library's rate at these shapes",
        setting(constant),
        "bound: compute where that rate is of products, bandwidth where of a copy",
        *(["recurrent product: by itself, and its share of the large product's rate"] if own else []),
    )
    numeric = {symbol(a) for a in varying if a in ("seq_len", "batch_size", "input_size", "hidden_size")}
    columns = (*map(symbol, varying), "library", "bound", *heads, *present)
    return Table(columns, tuple(rows), caption + ".", frozenset({*numeric, "library", *heads, *present}))


def _cell(row: pd.Series) -> str:
    return f"{significant(row['flop_per_second'] / 1e9)} ({percent(row['share'])})"


def _product_cell(row: pd.Series) -> str:
    rate = row["own_product_flop_per_second"]
    if missing(rate):
        return NOT_AVAILABLE
    return f"{significant(rate / 1e9)} ({percent(row['own_product_share_of_large'])})"
