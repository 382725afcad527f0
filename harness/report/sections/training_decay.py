"""Does training change how far the gradient reaches?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import VARIANT
from harness.report.summaries.grouping import groups, records, rows_of
from harness.report.summaries.training_decay import TrainingDecays, training_decays
from harness.report.tables import RATE_COLUMNS, Table, rate_cells, verdict_cell
from harness.report.words import (
    counted,
    missing,
    phrase,
    plain,
    setting,
    significant,
    split_constant,
    symbol,
)


@question(
    "training_decay",
    heading="Does training change how far the gradient reaches?",
    study="training_decay",
    order=49,
    explanation=(
        "A character-level language model learns from real text by Adam; the decay of its recurrent layer, "
        "and the loss, are measured on text held out. The horizon is the lag from which on the median norm "
        "stays at or below 1 %. Each network is held against itself before training: a change counts as "
        "shown where the 95 % interval of the differences over seeds excludes zero; a horizon beyond the "
        "lags observed counts as the longest of them."
    ),
)
def answer(run: Run) -> Answer | None:
    found = training_decays(run)
    if found is None:
        return None
    ends = _ends(found)
    return Answer(
        sentence=_sentence(ends),
        details=tuple(_detail(row) for row in ends.to_dict("records")),
        table=_table(found),
        summary=found.along,
    )


def _ends(found: TrainingDecays) -> pd.DataFrame:
    """One row per setting: the columns of the first step as before_…, of the last as after_…, the facts."""
    rows = []
    for chosen, part in groups(found.along, [*found.axes, "variant"]):
        part = part.sort_values("step")
        first, last = part.iloc[0].to_dict(), part.iloc[-1].to_dict()
        facts: dict[Any, Any] = rows_of(found.facts, chosen).iloc[0].to_dict()
        changes: dict[Any, Any] = rows_of(found.changes, chosen).iloc[0].to_dict()
        before = {f"before_{name}": value for name, value in first.items() if name not in chosen}
        after = {f"after_{name}": value for name, value in last.items() if name not in chosen}
        rows.append({**facts, **changes, **chosen, **before, **after})
    return pd.DataFrame(rows)


def _named(row: Any) -> str:
    return f"{row['cell']} under {row['variant']}"


def _sentence(ends: pd.DataFrame) -> str:
    diverged = int(ends["diverged"].sum())
    gone = f"; {diverged} of {counted(int(ends['seeds'].sum()), 'training')} diverged" if diverged else ""
    slower, faster = _shown(ends, "rate")
    longer, shorter = _shown(ends, "horizon")
    sentence = (
        f"Of {counted(len(ends), 'cell and start', 'cells and starts')} training is shown to slow the "
        f"gradient's decay in {slower} and to speed it in {faster}, and to lengthen the 1 % horizon in "
        f"{longer} and to shorten it in {shorter}"
    )
    if ends["rate_change"].isna().all():
        return f"{sentence}{gone}."
    most = ends.iloc[int(ends["rate_change"].abs().argmax())]
    return (
        f"{sentence}; the rate changed most for {_named(most)}, by {_change(most, 'rate')} nats per step in "
        f"{counted(int(most['after_step']), 'step')}{gone}."
    )


def _shown(ends: pd.DataFrame, name: str) -> tuple[int, int]:
    """In how many the interval of the paired difference lies above zero, and in how many below."""
    return int((ends[f"{name}_low"] > 0).sum()), int((ends[f"{name}_high"] < 0).sum())


def _change(row: Any, name: str) -> str:
    """ "0.0123 (95 % interval 0.01 to 0.015, 3 networks)"; without an interval where there is one alone."""
    value, low, high = (float(row[f"{name}_{end}"]) for end in ("change", "low", "high"))
    return Effect(value, low, high, int(row[f"{name}_pairs"])).words()


def _rate(row: Any, when: str) -> str:
    return significant(float(row[f"{when}_nats_per_step"]))


def _horizon(row: Any, when: str) -> str:
    horizon = row[f"{when}_horizon_1_percent_steps"]
    if missing(horizon):
        return f"beyond {plain(row[f'{when}_largest_lag'])} steps"
    return f"{significant(float(horizon), 2)} steps"


def _detail(row: dict[Any, Any]) -> str:
    words = (
        f"{_named(row)}: the 1 % horizon was {_horizon(row, 'before')} before and {_horizon(row, 'after')} "
        f"after {counted(int(row['after_step']), 'step')}, the rate {_rate(row, 'before')} and "
        f"{_rate(row, 'after')} nats per step, the loss on held-out text "
        f"{significant(row['before_held_out_loss'])} and {significant(row['after_held_out_loss'])} nats per "
        f"character"
    )
    if not missing(row.get("weight_norm_after")):
        words += (
            f"; ‖W_hh‖₂ went from {significant(row['weight_norm_before'])} to "
            f"{significant(row['weight_norm_after'])}"
        )
    return f"{words}{_paired(row)}{_gone(row)}."


def _paired(row: dict[Any, Any]) -> str:
    """The differences between after and before, each network beside itself."""
    words = [
        f"the {what} by {_change(row, name)} {unit}"
        for name, what, unit in (("rate", "rate", "nats per step"), ("horizon", "1 % horizon", "steps"))
        if not missing(row[f"{name}_change"])
    ]
    return f"; paired by the seed {' and '.join(words)}" if words else ""


def _gone(row: dict[Any, Any]) -> str:
    """Which of its trainings diverged, and what then stands after training."""
    if not row["diverged"]:
        return ""
    several = row["seeds"] > 1
    who = f"{plain(row['diverged'])} of {plain(row['seeds'])} trainings" if several else "it"
    at = f"{', first ' if several else ' '}at step {plain(row['diverged_at_step'])}"
    if missing(row["last_good_step"]):
        return f"; {who} diverged{at}, before anything was learned"
    return (
        f"; {who} diverged{at}: what stands after training is its last good state, after "
        f"{counted(int(row['last_good_step']), 'step')}"
    )


def _table(found: TrainingDecays) -> Table:
    rest = [axis for axis in found.axes if axis not in ("cell", *VARIANT, "backend")]
    varying, constant = split_constant(found.along, rest)
    rows = []
    for row in records(found.along):
        rows.append(
            (
                str(row["cell"]),
                str(row["variant"]),
                *(plain(row[axis]) for axis in varying),
                plain(row["step"]),
                significant(row["held_out_loss"]),
                *rate_cells(row),
                verdict_cell(row),
            )
        )
    numbers = ("after step", "loss", *RATE_COLUMNS)
    caption = phrase(
        "Loss on held-out text in nats per character, rates in nats per step, half-lives and horizons in "
        "steps",
        setting(constant),
    )
    columns = ("cell", "initialization", *map(symbol, varying), *numbers, "verdict")
    return Table(columns, tuple(rows), caption + ".", frozenset({*numbers, "T", "H", "B", "I"}))
