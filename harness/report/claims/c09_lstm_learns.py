"""C9: LSTMs learn dependencies that simple RNNs cannot."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.frames import Run
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import STUDY, learnings
from harness.report.words import counted, percent

SOLVED = "solved"
HALF = 0.5
SETTING = ["cell", "variant", "clipped"]


@claim(
    "C9",
    text="LSTMs learn dependencies that simple RNNs cannot.",
    rule=(
        "For each task, length and way of training, the settings of the LSTM that solved most often are held "
        "against those of the simple RNNs that did (all of them where several are equal), however they start "
        "and are clipped. It holds where the interval of the LSTM's share of solved trainings, less the "
        "simple RNNs', lies above 0; it does not where the simple RNNs certainly solve more than half of "
        "theirs, or the LSTM certainly fewer; else it is undecided."
    ),
    studies=(STUDY,),
    section="learning",
)
def judge(run: Run) -> Finding | None:
    found = learnings(run)
    if found is None:
        return None
    conditions, words, number = [], [], 0
    trained = found.trainings.groupby(["task", "seq_len"], sort=False)["way"].transform("nunique")
    for own, part in groups(found.trainings.assign(ways=trained), ["task", "seq_len", "way"]):
        cells = part["cell"].astype(str)
        lstm, simple = best(part[cells == "lstm"]), best(part[cells.str.startswith("rnn_")])
        if lstm is None or simple is None:
            continue
        number += lstm.of + simple.of
        more = effects.share_more((lstm.solved, lstm.of), (simple.solved, simple.of))
        name = f"{own['task']} at T={own['seq_len']}"
        if part["ways"].iloc[0] > 1:
            name += f" ({own['way']})"
        conditions.append(
            Condition(name, "share solved, LSTM less simple RNN", more, _holds(more, simple), percent)
        )
        words.append(f"{name}: {more.words(percent)}, LSTM {lstm.words}, simple RNN {simple.words}")
    return finding(
        conditions,
        on="the task and its length",
        effect=f"share solved, LSTM less simple RNN: {'; '.join(words)}",
        tested=f"{counted(number, 'training')} of the best settings",
    )


def _holds(more: effects.Effect, simple: Best) -> bool | None:
    return False if effects.share(simple.solved, simple.of).above(HALF) else more.above(0.0)


@dataclass(frozen=True)
class Best:
    """The settings of one kind of cell that solved the largest share: how many trainings of how many, under
    what."""

    solved: int
    of: int
    settings: tuple[str, ...]

    @property
    def words(self) -> str:
        named = self.settings[0] if len(self.settings) == 1 else f"{len(self.settings)} settings alike"
        return f"{self.solved} of {self.of} ({named})"


def best(trainings: pd.DataFrame) -> Best | None:
    """The settings with the largest share of solved trainings, taken together; None of none."""
    if trainings.empty:
        return None
    ends = [(own, part["end"] == SOLVED) for own, part in groups(trainings, SETTING)]
    largest = max(float(solved.mean()) for _, solved in ends)
    equal = [(own, solved) for own, solved in ends if float(solved.mean()) == largest]
    return Best(
        sum(int(solved.sum()) for _, solved in equal),
        sum(len(solved) for _, solved in equal),
        tuple(", ".join(filter(None, (str(own[axis]) for axis in SETTING))) for own, _ in equal),
    )
