"""Does the network learn a long-range dependency?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, most_populated, records, rows_of
from harness.report.summaries.learning import (
    CLIPPING,
    LOOKED_AT,
    TRAINED,
    Learnings,
    learnings,
)
from harness.report.tables import Table
from harness.report.words import (
    counted,
    known,
    missing,
    percent,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)

MOST_CELLS = 6
"""That the sentence names; of more, those alone that solved the task."""


@question(
    "learning",
    heading="Does the network learn a long-range dependency?",
    study="learning",
    order=70,
    explanation=(
        "Before its first step, ‖∂h_T/∂h_k‖₂ of each network is measured on the task's own sequences; then "
        "it is trained until it solves the task by its published criterion, tried on sequences that no step "
        "learned from, or its steps are used up, or it diverges. The baseline is the loss of the best answer "
        "that does not look at the inputs."
    ),
)
def answer(run: Run) -> Answer | None:
    found = learnings(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found),
        details=tuple(_details(found)),
        table=_table(found),
        summary=found.settings,
    )


def _sentence(found: Learnings) -> str:
    """How the cells did at the longest T that was solved, of the task with most trainings; and all in all."""
    ends = found.trainings["end"]
    solved, diverged = int((ends == "solved").sum()), int((ends == "diverged").sum())
    words = f"{solved} of {counted(len(ends), 'training')} solved their task"
    words += f", {diverged} diverged." if diverged else "."
    return f"{_longest(found.trainings)}; in all, {words}" if solved else words


def _longest(trainings: pd.DataFrame) -> str:
    """ "At adding, T=200, the longest tried: lstm 3 of 12, gru 9 of 9 solved it"; some training solved some
    task."""
    tasks = trainings[trainings["task"].isin(trainings.loc[trainings["end"] == "solved", "task"])]
    (chosen,), _ = most_populated(tasks, ["task"], limit=1)
    own = rows_of(tasks, chosen)
    tried, longest = own["seq_len"], own.loc[own["end"] == "solved", "seq_len"].max()
    at = f"At {chosen['task']}, T={plain(longest)}"
    if tried.nunique() > 1:
        at += ", the longest tried" if longest == tried.max() else ", the longest that was solved"
    counts = (
        own[tried == longest]
        .groupby("cell", sort=False)["end"]
        .agg(solved=lambda ends: (ends == "solved").sum(), trainings="size")
    )
    named = counts if len(counts) <= MOST_CELLS else counts[counts["solved"] > 0]
    cells = [f"{cell} {solved} of {number}" for cell, solved, number in named.itertuples()]
    if others := len(counts) - len(named):
        rest = counts["trainings"].sum() - named["trainings"].sum()
        cells.append(f"{counted(others, 'other cell')} 0 of {rest}")
    return f"{at}: {', '.join(cells)} solved it"


def _details(found: Learnings) -> list[str]:
    sentences = []
    for chosen, part in groups(found.trainings, ["task", "seq_len"]):
        cells = []
        for own, rows in groups(part, ["cell"]):
            solved = rows[rows["end"] == "solved"]
            words = f"{own['cell']} {len(solved)} of {len(rows)}"
            if len(solved):
                words += f" (first after {plain(int(solved['solved_at_step'].astype(float).min()))} steps)"
            cells.append(words)
        sentences.append(f"{chosen['task']} at T={chosen['seq_len']}: solved by {', '.join(cells)}.")
    return [*sentences, *_non_finite(found.trainings)]


def _non_finite(trainings: pd.DataFrame) -> list[str]:
    """Gradients with NaN or inf in them, and what became of these; nothing of a run that counted none."""
    if "non_finite" not in trainings:
        return []
    met = trainings["non_finite"].fillna(0).astype(int)
    if not met.any():
        return []
    return [
        f"In {int((met > 0).sum())} of {counted(len(met), 'training')} gradients had NaN or infinite "
        f"entries, {counted(int(met.sum()), 'entry', 'entries')} in all. On the way back through time the "
        "rule value alone cuts infinite entries to its threshold, and none changes NaN; a finished gradient "
        "with either ends the training as diverged."
    ]


def _table(found: Learnings) -> Table:
    named = ("task", "cell", "initialization", "gain", "forget_bias", *CLIPPING, *TRAINED, *LOOKED_AT)
    rest = [axis for axis in found.axes if axis not in named]
    varying, constant = split_constant(found.settings, rest)
    ways = found.settings["way"].tolist()
    several = len(set(ways)) > 1
    rows = []
    for row, way in zip(records(found.settings), ways, strict=True):
        rows.append(
            (
                str(row["task"]),
                str(row["cell"]),
                str(row["variant"]),
                str(row["clipped"]),
                *(plain(row[axis]) for axis in varying),
                *([way] if several else []),
                f"{row['solved']} of {row['trainings']}",
                "–" if not row["diverged"] else str(row["diverged"]),
                "–" if missing(row["solved_at_step"]) else plain(row["solved_at_step"]),
                known(row["half_life_before"], "none"),
                power_of_ten(row["log10_norm_before"]),
                power_of_ten(row["log10_norm_after"]),
                significant(row["last_loss"]),
                significant(row["baseline"]),
                percent(row["last_error_rate"]),
            )
        )
    numbers = ("solved", "diverged", "at step", "half-life before", "norm before", "norm after", "loss")
    columns = (
        *("task", "cell", "initialization", "clipping"),
        *map(symbol, varying),
        *(["trained by"] if several else []),
        *numbers,
        "baseline",
        "wrong",
    )
    caption = phrase(
        "Medians over seeds; half-lives in steps; norms are ‖∂h_T/∂h_0‖₂ before and after training; the loss "
        "is the last one on held-out sequences, wrong the share of their answers that are",
        setting(constant),
    )
    return Table(
        columns, tuple(rows), caption + ".", frozenset({*numbers, "baseline", "wrong", "T", "H", "B"})
    )
