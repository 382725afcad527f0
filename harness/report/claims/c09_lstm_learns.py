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
SIMPLE = "any simple RNN"


@claim(
    "C9",
    text="LSTMs learn dependencies that simple RNNs cannot.",
    rule=(
        "Each training of an LSTM is held against all simple RNNs that differ from it in the cell alone. It "
        "holds for a task and length where, of the pairs of which one side solved, the interval of the share "
        "solved by the LSTM lies above ½."
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
        effect = effects.first_alone(by_lstm, by_rnn)
        name = f"{own['task']} at T={own['seq_len']}"
        conditions.append(
            Condition(
                name, "of pairs of which one solved, solved by the LSTM", effect, effect.above(0.5), percent
            )
        )
        words.append(
            f"{name}: LSTM {int(by_lstm.sum())}, any simple RNN {int(by_rnn.sum())} of {len(part)} "
            f"{_best(found.trainings, own)}"
        )
    return finding(
        conditions,
        on="the task and its length",
        effect=f"solved: {'; '.join(words)}",
        tested=f"{counted(len(beside), 'pair')} of trainings",
    )


def lstm_beside_simple(trainings: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """Trainings of an LSTM (_1) beside the simple RNNs that agree in all but the cell, taken together (_2):
    solved where any of them solved."""
    agree = [*(axis for axis in axes if axis not in ("cell", "forget_bias") and axis in trainings), "seed"]
    simple = trainings[trainings["cell"].astype(str).str.startswith("rnn_")]
    ends = [
        {**own, "cell": SIMPLE, "end": SOLVED if (part["end"] == SOLVED).any() else "not solved"}
        for own, part in groups(simple, agree)
    ]
    columns = [*agree, "cell", "end"]
    both = pd.concat([trainings[columns], pd.DataFrame(ends, columns=columns)], ignore_index=True)
    return pairs(both, "cell", "lstm", SIMPLE, agree)


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
    return f"(the best simple RNN: {best})"
