"""The report of an analysis: its sentences, tables and figures on the page that every report is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis import figures, sentences
from harness.analysis.analysis import Analysis
from harness.errors import UserError
from harness.report import pages
from harness.report.build import FOLDERS, Section, beside, replace, saved
from harness.report.drawing import style
from harness.report.pictures import Picture
from harness.report.tables import Table, Written, write_csv
from harness.report.words import counted

MARK = '<p class="kicker">Analysis of a network</p>'
"""Stands in report.html of an analysis, so that nothing else is ever written over."""


@dataclass(frozen=True)
class _Question:
    """Args:
    table: frame -> what people read of it; None where the CSV alone is enough.
    draw: the figures.
    """

    name: str
    heading: str
    explanation: str
    frame: Callable[[Analysis], pd.DataFrame]
    answer: Callable[[Analysis], tuple[str, list[str]]]
    table: Callable[[pd.DataFrame], Table] | None
    draw: tuple[Callable[[Analysis], Iterator[Picture]], ...]


_QUESTIONS = (
    _Question(
        "summaries",
        "How far does the gradient reach?",
        "Exact norms of the blocks of ∂s_t/∂s_k, the derivative of a later state by an earlier one, from "
        "analytic one-step Jacobians. The horizon is the lag from which on the median norm stays at or below "
        "1 % or 0.1 %; the rate is the slope of its logarithm. Vanishing: the rate's 95 % interval over "
        "samples lies below 0, and the 1 % horizon within the lags observed. Exploding: it lies above 0, and "
        "the norm grows a hundredfold. Stable: the norm does neither. Undecided: it does, and the rate "
        "does not bear it out.",
        lambda a: a.summaries,
        sentences.reach,
        sentences.summary_table,
        (figures.decay_figure, figures.anchors_figure),
    ),
    _Question(
        "changes",
        "What would change it?",
        "Another start, another forget bias or another cell in the layer's place, with its sizes and on the "
        "very inputs that it reads. Its own weights are kept where the forget bias alone is shifted; all the "
        "others are untrained, and training moves them. Another cell starts as PyTorch starts it.",
        lambda a: a.changes,
        sentences.change,
        sentences.changes_table,
        (figures.changes_figure,),
    ),
    _Question(
        "spectrum",
        "How many directions survive?",
        "All singular values of ∂s_T/∂s_k at chosen lags, the small ones too.",
        lambda a: a.spectrum,
        sentences.directions,
        sentences.spectrum_table,
        (figures.spectrum_figure,),
    ),
    _Question(
        "lyapunov",
        "At which rates do perturbations grow?",
        "Lyapunov exponents by the QR method; the first quarter of the steps is run and not averaged.",
        lambda a: a.lyapunov,
        sentences.exponents,
        sentences.lyapunov_table,
        (figures.lyapunov_figure,),
    ),
    _Question(
        "gates",
        "How much do the gates carry over?",
        "The gate that multiplies the old state: an LSTM's f, a GRU's z, over all steps and samples read.",
        lambda a: a.gates,
        sentences.gates,
        sentences.gates_table,
        (figures.gates_figure,),
    ),
)


def write_page(analysis: Analysis, folder: Path) -> Path:
    """Write the report into `folder`; the path of report.html.

    Raises:
        UserError: the folder cannot be written, or holds files that are no analysis.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_free(folder)
        with beside(folder) as fresh:
            _fill(analysis, fresh)
            replace(fresh, folder)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write the analysis: {error.strerror or error}",
            expected="a folder that can be written, on a disk with room",
        ) from error
    return folder / "report.html"


def _check_free(folder: Path) -> None:
    """An empty folder, or one that holds an analysis."""
    page = folder / "report.html"
    if page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace"):
        return
    if any(folder.iterdir()):
        raise UserError(
            f"{folder}: holds files that are no analysis", expected="a new folder, or an older analysis"
        )


def _fill(analysis: Analysis, folder: Path) -> None:
    for name in FOLDERS:
        (folder / name).mkdir()
    tables: list[Written] = []
    sections = [
        _section(analysis, question, folder) for question in _QUESTIONS if not question.frame(analysis).empty
    ]
    frames = {q.name: (q.frame(analysis), q.heading) for q in _QUESTIONS}
    frames |= {
        "decay": (analysis.decay, "every norm, by layer, anchor, block, sample and lag"),
        "bound": (analysis.bound, "the bound of the simple RNN, by layer and lag"),
        "change_curves": (analysis.change_curves, "the decay of each candidate in the layer's place"),
    }
    for name, (frame, what) in frames.items():
        if not frame.empty:
            write_csv(frame, folder / "tables" / f"{name}.csv")
            tables.append(Written(f"tables/{name}.csv", len(frame), what))
    content = _content(analysis, sections, tables)
    (folder / "report.md").write_text(pages.markdown(content, "analysis.md.j2"), encoding="utf-8")
    (folder / "report.html").write_text(pages.html(content, "analysis.html.j2"), encoding="utf-8")


def _section(analysis: Analysis, question: _Question, folder: Path) -> Section:
    frame = question.frame(analysis)
    sentence, details = question.answer(analysis)
    with style():
        pictures = tuple(
            saved(picture, folder / "figures") for draw in question.draw for picture in draw(analysis)
        )
    return Section(
        name=question.name,
        heading=question.heading,
        explanation=question.explanation,
        sentence=sentence,
        details=tuple(details),
        pictures=pictures,
        table=question.table(frame) if question.table else None,
        table_path=f"tables/{question.name}.csv",
        command=analysis.command,
        ending=counted(frame["layer"].nunique(), "layer"),
        problems=(),
    )


def _content(analysis: Analysis, sections: list[Section], tables: list[Written]) -> Mapping[str, Any]:
    remarks = [
        (finding.network.name, " ".join(finding.network.remarks))
        for finding in analysis.layers
        if finding.network.remarks
    ]
    return {
        "title": analysis.title,
        "facts": [*analysis.facts, *remarks],
        "studies": sentences.layer_table(analysis),
        "environment": [],
        "command": analysis.command,
        "sections": sections,
        "failed": analysis.failed,
        "left_out": analysis.left_out,
        "tables": tables,
    }
