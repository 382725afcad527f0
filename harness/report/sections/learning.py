"""Does the network learn a long-range dependency?"""

from __future__ import annotations

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, records
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
    ends = found.trainings["end"]
    solved, diverged = int((ends == "solved").sum()), int((ends == "diverged").sum())
    words = f"{solved} of {counted(len(ends), 'training')} solved their task"
    return f"{words}, {diverged} diverged." if diverged else f"{words}."


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
