"""Do the backends compute the same cells?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, most, only
from harness.report.summaries.parity import Parity, parity
from harness.report.tables import Table
from harness.report.words import counted, listed, phrase, plain, setting, significant, split_constant, symbol


@question(
    "parity",
    heading="Do the backends compute the same cells?",
    study="parity",
    order=20,
    explanation=(
        "Output, final state and every gradient (inputs, initial state, each parameter) against a reference "
        "in float64; the relative error is max|a − ref| / max|ref|."
    ),
)
def answer(run: Run) -> Answer | None:
    summary = parity(run)
    if summary is None:
        return None
    return Answer(
        sentence=_sentence(summary),
        details=tuple(_by_dtype(summary)),
        table=_table(summary),
        summary=_worst(summary, [axis for axis in summary.axes if axis != "seed"]),
    )


def _sentence(summary: Parity) -> str:
    rows = summary.rows
    by_case = rows.groupby("key")["agrees"].all()
    names = sorted(rows["backend"].astype(str).unique())
    cases = counted(len(by_case), "case")
    if by_case.all():
        share = float(_share(rows).max())
        return (
            f"Yes: {listed(names)} {'agrees' if len(names) == 1 else 'agree'} with the float64 reference in "
            f"all {cases}; the largest error is {significant(100 * share, 2)} % of its tolerance."
        )
    outside = rows[~rows["agrees"]]
    worst = most(outside.assign(share=_share(outside)), "share")
    return (
        f"No: {listed(sorted(outside['backend'].astype(str).unique()))} disagreed with the float64 reference "
        f"in {int((~by_case).sum())} of {cases}; the worst is {worst['quantity']} "
        f"({setting(only(worst, summary.axes))}): relative error {significant(worst['relative_error'])}, "
        f"tolerance {significant(worst['tolerance'], 1)}."
    )


def _by_dtype(summary: Parity) -> list[str]:
    if "dtype" not in summary.axes:
        return []
    sentences = []
    for chosen, part in groups(summary.rows, ["dtype"]):
        if part["relative_error"].isna().all():
            continue
        worst = most(part, "relative_error")
        sentences.append(
            f"{chosen['dtype']}: the largest relative error is {significant(worst['relative_error'])} "
            f"({worst['backend']}, {worst['cell']}, T={plain(worst['seq_len'])}, {worst['quantity']}), "
            f"tolerance {significant(worst['tolerance'], 1)}."
        )
    return sentences


def _share(rows: pd.DataFrame) -> pd.Series:
    """Error as a part of the tolerance; infinite where the error is no number."""
    return (rows["relative_error"] / rows["tolerance"]).fillna(float("inf"))


def _worst(summary: Parity, axes: list[str]) -> pd.DataFrame:
    """The quantity nearest to its tolerance, or furthest beyond, per combination of the axes."""
    rows = []
    for chosen, part in groups(summary.rows, axes):
        worst = most(part.assign(share=_share(part)), "share")
        rows.append(
            {
                **chosen,
                "worst_quantity": worst["quantity"],
                "relative_error": worst["relative_error"],
                "tolerance": worst["tolerance"],
                "share_of_tolerance": worst["share"],
                "agrees": bool(part["agrees"].all()),
                "cases": part["key"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def _table(summary: Parity) -> Table:
    axes = [axis for axis in summary.axes if axis not in ("seed", "seq_len")]
    varying, constant = split_constant(summary.rows, axes)
    rows = []
    for row in _worst(summary, varying).to_dict("records"):
        rows.append(
            (
                *(plain(row[axis]) for axis in varying),
                str(row["worst_quantity"]),
                significant(row["relative_error"]),
                significant(row["tolerance"], 1),
                "yes" if row["agrees"] else "NO",
                plain(row["cases"]),
            )
        )
    columns = (*map(symbol, varying), "worst quantity", "relative error", "tolerance", "agrees", "cases")
    caption = phrase("The quantity nearest to its tolerance, over all T and seeds", setting(constant))
    return Table(
        columns,
        tuple(rows),
        caption + ".",
        frozenset({"relative error", "tolerance", "cases", "H", "T", "B"}),
    )
