"""C9: LSTMs learn dependencies that simple RNNs cannot."""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.frames import Run
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import STUDY, learnings
from harness.report.summaries.pairs import pairs
from harness.report.words import counted, percent

SOLVED = "solved"


@claim(
    "C9",
    text="LSTMs learn dependencies that simple RNNs cannot.",
    rule=(
        "Trainings that differ in the cell alone are paired. It holds for a task and length where, of the "
        "pairs of which one solved, the interval of the share solved by the LSTM lies above ½."
    ),
    studies=(STUDY,),
    section="learning",
)
def judge(run: Run) -> Finding | None:
    found = learnings(run)
    if found is None:
        return None
    beside = lstm_beside_simple(found.trainings, found.axes)
    conditions, words = [], []
    for own, part in groups(beside, ["task", "seq_len"]):
        by_lstm, by_rnn = (part[f"end_{side}"] == SOLVED for side in (1, 2))
        won, lost = int((by_lstm & ~by_rnn).sum()), int((by_rnn & ~by_lstm).sum())
        name = f"{own['task']} at T={own['seq_len']}"
        if won + lost:
            effect = effects.share(won, won + lost, "unequal pair")
        else:
            effect = effects.exact(0.5, len(part), "equal pair")
        conditions.append(
            Condition(
                name, "of pairs of which one solved, solved by the LSTM", effect, effect.above(0.5), percent
            )
        )
        words.append(
            f"{name}: LSTM {int(by_lstm.sum())}, simple RNN {int(by_rnn.sum())} of {len(part)} "
            f"{_best(found.trainings, own)}"
        )
    return finding(
        conditions,
        on="the task and its length",
        effect=f"solved: {'; '.join(words)}",
        tested=f"{counted(len(beside), 'pair')} of trainings",
    )


def lstm_beside_simple(trainings: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """Trainings of an LSTM (_1) beside those of each simple RNN (_2) that agree in all but the cell."""
    agree = [*(axis for axis in axes if axis != "forget_bias"), "seed"]
    columns = [column for column in [*agree, "end"] if column in trainings]
    simple = sorted({str(cell) for cell in trainings["cell"] if str(cell).startswith("rnn_")})
    parts = [pairs(trainings[columns], "cell", "lstm", cell, agree) for cell in simple]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _best(trainings: pd.DataFrame, own: dict[str, object]) -> str:
    """The simple RNN that solved most often, however it started."""
    same = (trainings["task"] == own["task"]) & (trainings["seq_len"] == own["seq_len"])
    simple = trainings[same & trainings["cell"].astype(str).str.startswith("rnn_")]
    best, most = "", (-1.0, 0)
    for setting, part in groups(simple, ["cell", "variant", "clipped"]):
        solved = int((part["end"] == SOLVED).sum())
        if (solved / len(part), len(part)) > most:
            most = (solved / len(part), len(part))
            best = f"{setting['cell']}, {setting['variant']}, {setting['clipped']}: {solved} of {len(part)}"
    return f"(the best of those: {best})"
