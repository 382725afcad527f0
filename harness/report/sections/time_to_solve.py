"""How long does each backend take to learn a task?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.statistics import Estimate
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.time_to_solve import EARLY, Ratio, TimesToSolve, ratios, times_to_solve
from harness.report.tables import Table
from harness.report.words import (
    counted,
    duration,
    listed,
    milliseconds,
    missing,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
    times,
)

NAMED = ("task", "cell", "seq_len", "hidden_size")


@question(
    "time_to_solve",
    heading="How long does each backend take to learn a task?",
    study="time_to_solve",
    order=22,
    explanation=(
        "Every backend starts from the same weights, sees the same batches and is stopped by the same "
        "criterion, tried on held-out sequences after every so many steps; the time is that of the training "
        "steps, nothing runs beside them. What differs is rounding: it grows, so that the paths part after "
        "hundreds of steps and the steps to solve may differ. Ratios are geometric means over seeds, paired, "
        "with their 95 % t-interval; one process per backend and seed."
    ),
)
def answer(run: Run) -> Answer | None:
    found = times_to_solve(run)
    if found is None:
        return None
    words = [_sentence(part) for _, part in groups(found.backends, found.shared)]
    compared = [_ratio_words(ratio) for ratio in ratios(found) if ratio.step is not None]
    sentence, *details = [*compared, *words]
    return Answer(
        sentence=sentence,
        details=(*details, *_agreement(found)),
        table=_table(found),
        summary=found.backends.drop(columns="key"),
    )


def _sentence(part: pd.DataFrame) -> str:
    rows = records(part.sort_values("training_seconds"))
    solved = [row for row in rows if row["solved"]]
    where = _where({axis: part[axis].iloc[0] for axis in (*NAMED, "seed")})
    if not solved:
        tried = [f"{row['backend']} ({duration(row['training_seconds'])})" for row in rows]
        return f"{where}: not solved by {listed(tried)}."
    best = solved[0]
    words = [
        f"{best['backend']} solved it in {duration(best['training_seconds'])} "
        f"({counted(int(best['solved_at_step']), 'step')})"
    ]
    words += [
        f"{row['backend']} took {times(row['training_seconds'] / best['training_seconds'])} as long, "
        f"{duration(row['training_seconds'])} ({counted(int(row['solved_at_step']), 'step')})"
        for row in solved[1:]
    ]
    words += [
        f"{row['backend']} had not after {duration(row['training_seconds'])}"
        for row in rows
        if not row["solved"]
    ]
    return f"{where}: {'; '.join(words)}."


def _where(values: Mapping[str, Any]) -> str:
    """ "On the task adding (lstm, T=100, H=100)"."""
    rest = setting({axis: value for axis, value in values.items() if axis != "task"})
    task = plain(values["task"])
    return f"On the task {task}{f' ({rest})' if rest else ''}"


def _ratio_words(ratio: Ratio) -> str:
    """ "…: torch took 1.2× [1.1×, 1.3×] as long as numba to solve it, 1.2× […] per step (3 seeds)"."""
    where = _where({axis: ratio.setting[axis] for axis in NAMED})
    told = [found for found in (ratio.whole, ratio.step) if found is not None]
    alike = [found for found in told if found.low <= 1.0 <= found.high]
    if len(alike) == len(told):
        where, alike = f"{where}, no difference shown", []
    whole, step = (_with_interval(found, found in alike) for found in (ratio.whole, ratio.step))
    if ratio.whole is None or ratio.step is None:
        return f"{where}: {ratio.backend} took {step} as long per step as {ratio.to}."
    return (
        f"{where}: {ratio.backend} took {whole} as long as {ratio.to} to solve it, "
        f"{step} as long per step ({counted(ratio.step.processes, 'seed')})."
    )


def _with_interval(found: Estimate | None, alike: bool) -> str:
    """ "1.3× [0.92×, 1.8×, no difference shown]"."""
    if found is None:
        return "n/a"
    remark = ", no difference shown" if alike else ""
    return f"{times(found.value)} [{times(found.low)}, {times(found.high)}{remark}]"


def _agreement(found: TimesToSolve) -> list[str]:
    error = significant(float(found.backends["relative_error"].max()), 2)
    return [
        "Before its training a pass of each was held against the float64 reference: relative error at most "
        f"{error}.",
        *_losses(found),
    ]


def _losses(found: TimesToSolve) -> list[str]:
    differences = found.backends["early_difference"].dropna()
    if found.backends["backend"].nunique() < 2 or differences.empty:
        return []
    return [
        f"In the first {counted(EARLY, 'step')} the losses of all backends agree to "
        f"{significant(float(differences.max()), 2)} of their value."
    ]


def _table(found: TimesToSolve) -> Table:
    rest = [axis for axis in found.shared if axis not in ("task", "cell")]
    varying, constant = split_constant(found.backends, rest)
    numbers = ("at step", "ms per step", "training", "with checks", "to the fastest", "first loss")
    rows = [
        (
            str(row["task"]),
            str(row["cell"]),
            *(plain(row[axis]) for axis in varying),
            str(row["backend"]),
            "yes" if row["solved"] else "no",
            "–" if missing(row["solved_at_step"]) else plain(int(row["solved_at_step"])),
            milliseconds(row["seconds_per_step"]),
            duration(row["training_seconds"]),
            duration(row["training_seconds"] + row["checking_seconds"]),
            _ratio(row),
            significant(row["first_loss"], 6),
        )
        for row in records(found.backends)
    ]
    columns = ("task", "cell", *map(symbol, varying), "backend", "solved", *numbers)
    caption = phrase(
        f"Criterion: {listed(sorted(set(map(str, found.backends['criterion']))))}; with checks: and with the "
        "trials on held-out sequences",
        setting(constant),
    )
    return Table(columns, tuple(rows), caption + ".", frozenset({*numbers, "T", "H", "B", "seed"}))


def _ratio(row: dict[str, Any]) -> str:
    if not row["solved"]:
        return "–"
    return times(row["training_seconds"] / row["fastest_seconds"])
