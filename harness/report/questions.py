"""What a section is: a question, the study that answers it, and a function from a run to the answer.

One question is one file in `sections/`.  Its sentences are computed from the very numbers that its table
and figures show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from harness.report.frames import Run
from harness.report.tables import Table
from implementations.registry import Registry

TOPICS = ((0, "Speed and memory"), (40, "Gradients"), (70, "Learning"), (90, "Speed and memory"))
"""What questions are about, from which order on; the last is the appendix on how far times can be trusted."""


@dataclass(frozen=True)
class Answer:
    """Args:
    sentence: the answer in one sentence.
    details: further sentences, each true of the numbers shown.
    table: the numbers, for people.
    summary: the statistics behind the table, for programs: `tables/<question>_summary.csv`.
    listed: whether the summary has the table's rows, so that it leads to those that a page cuts.
    quotes: texts that are shown as they are, letter by letter, each under who says it.
    """

    sentence: str
    details: tuple[str, ...] = ()
    table: Table | None = None
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    listed: bool = True
    quotes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Question:
    """Args:
    heading: the question as people ask it.
    study: which study answers it.
    order: its place in the report, smallest first.
    explanation: a sentence or two on what was measured and how.
    answer: run -> answer, or None where the study measured nothing.
    optional: the section is left out where there is no answer, because it asks for more than the study
        has to hold (three sizes, two backends).
    beside: further studies that the answer draws on, where the run has them.
    """

    heading: str
    study: str
    order: int
    explanation: str
    answer: Callable[[Run], Answer | None]
    optional: bool = False
    beside: tuple[str, ...] = ()

    @property
    def topic(self) -> str:
        """What it is about, by its place in the report."""
        return [name for first, name in TOPICS if first <= self.order][-1]


SECTIONS: Registry[Question] = Registry("section", "harness.report.sections", "rnn_harness.sections")

AnswerFunction = Callable[[Run], Answer | None]


def question(
    name: str,
    *,
    heading: str,
    study: str,
    order: int,
    explanation: str,
    optional: bool = False,
    beside: tuple[str, ...] = (),
) -> Callable[[AnswerFunction], AnswerFunction]:
    """Decorator: register a function that answers `heading` under `name`."""

    def enter(answer: AnswerFunction) -> AnswerFunction:
        SECTIONS.register(name)(Question(heading, study, order, explanation, answer, optional, beside))
        return answer

    return enter
