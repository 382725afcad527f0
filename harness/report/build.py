"""From a ledger to a finished report: compute, draw, render beside the old one, then take its place."""

from __future__ import annotations

import base64
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.lock import OwnedLock
from harness.report import claims_page, overview, pages, reasons
from harness.report.escape import block, file_stem, one_line
from harness.report.frames import Run
from harness.report.pictures import FIGURES, Picture
from harness.report.questions import SECTIONS, Answer, Question
from harness.report.reference import check_place, write_reference
from harness.report.tables import Table, Written, summary_path, write_csv, write_studies, write_summaries

FOLDERS = ("tables", "figures")
PAGES = ("report.md", "report.html")
DRAFT_PREFIX = ".report-"
LOCK = ".report.lock"
PATIENCE_SECONDS = 600.0
"""How long one build waits for another of the same run, which takes some seconds as a rule."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Shown:
    """A picture on the page; `svg` is its file in base64."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Section:
    """One question on the page.

    Args:
        name: its anchor.
        problems: what could not be computed or drawn, and why.
        topic: what it is about, among others; "" where there is no need to say.
        rows_path: the file that holds the statistics of the table, all of them; "" where there is none.
        quotes: who says it -> what is shown letter by letter.
    """

    name: str
    heading: str
    explanation: str
    sentence: str
    details: tuple[str, ...]
    pictures: tuple[Shown, ...]
    table: Table | None
    table_path: str
    command: str
    ending: str
    problems: tuple[str, ...]
    topic: str = ""
    rows_path: str = ""
    quotes: tuple[tuple[str, str], ...] = ()

    @property
    def all_rows(self) -> str:
        """Where all rows are of a table that is cut."""
        return self.rows_path or self.table_path


def build(run_folder: Path, *, redact: bool = False, reference: Path | None = None) -> Path:
    """Write the report of the run in `run_folder`; the path of report.html, or of the copy's report.md.

    Args:
        reference: also copy it there, to be kept with the code (:mod:`harness.report.reference`).

    Raises:
        UserError: the folder holds no readable ledger, or cannot be written.
    """
    if reference is not None:
        check_place(reference)
    run = Run.read(run_folder, redact=redact)
    try:
        with sole_builder(run_folder), beside(run_folder) as fresh:
            content = _fill(run, fresh)
            replace(fresh, run_folder)
            if reference is not None:
                return write_reference(content, run_folder, reference, redact=redact)
    except OSError as error:
        raise UserError(
            f"{run_folder}: cannot write the report: {error.strerror or error}",
            expected="a folder that can be written, on a disk with room",
            remedy="mend this, then build the report again from the same ledger",
        ) from error
    return run_folder / "report.html"


def _fill(run: Run, folder: Path) -> Mapping[str, Any]:
    """The report in `folder`; what its pages show."""
    for name in FOLDERS:
        (folder / name).mkdir()
    tables = write_studies(run, folder / "tables")
    sections, summaries = [], {}
    for name, question in sorted(SECTIONS.items(), key=lambda item: (item[1].order, item[0])):
        if question.study in run.studies:
            section, answer = _section(run, name, question, folder)
            if answer is None and question.optional and not section.problems:
                continue
            sections.append(section)
            if answer is not None and not answer.summary.empty:
                summaries[name] = answer.summary
    tables += write_summaries(summaries, folder / "tables")
    judged = claims_page.judge(run, [section.name for section in sections])
    claims = claims_page.page(judged)
    if claims is not None:
        tables += claims_page.write(judged, folder / "tables")
    return _render(run, claims, sections, tables, folder)


def _section(run: Run, name: str, question: Question, folder: Path) -> tuple[Section, Answer | None]:
    problems: list[str] = []
    answer = None
    try:
        answer = question.answer(run)
    except Exception as error:  # a third party's section must not cost the report: it is named instead
        problems.append(f"the answer could not be computed: {_named(error)}")
    pictures = tuple(_pictures(run, name, folder, problems))
    return Section(
        name=file_stem(name),
        heading=question.heading,
        explanation=question.explanation,
        sentence=answer.sentence if answer else _no_answer(run, question.study, problems),
        details=answer.details if answer else (),
        pictures=pictures,
        table=answer.table if answer else None,
        table_path=f"tables/{file_stem(question.study)}.csv",
        command=overview.command(
            run, question.study, *(name for name in question.beside if name in run.studies)
        ),
        ending=overview.ending(run, question.study),
        problems=tuple(problems),
        topic=question.topic,
        rows_path=summary_path(name) if answer and answer.listed and not answer.summary.empty else "",
        quotes=tuple((who, block(text)) for who, text in answer.quotes) if answer else (),
    ), answer


def _no_answer(run: Run, study: str, problems: Sequence[str]) -> str:
    """Why a question has none: it failed, nothing was measured, or what was measured does not bear on it."""
    ending = overview.ending(run, study)
    if problems:
        return f"This could not be answered: {ending}."
    if run.counts(study).get("measured"):
        return f"What was measured does not answer this: {ending}."
    return f"Nothing was measured: {ending}."


def _pictures(run: Run, section: str, folder: Path, problems: list[str]) -> Iterator[Shown]:
    from harness.report.drawing import style  # a second's worth of imports, for runs that have figures alone

    kinds = [(kind.order, name, kind) for name, kind in FIGURES.items() if kind.question == section]
    for _, name, kind in sorted(kinds, key=lambda entry: entry[:2]):
        try:
            with style():
                for picture in kind.draw(run):
                    yield saved(picture, folder / "figures")
        except OSError:
            raise
        except Exception as error:  # a third party's figure must not cost the report: it is named instead
            problems.append(f"the figure {name} could not be drawn: {_named(error)}")


def _named(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:300]


def saved(picture: Picture, folder: Path) -> Shown:
    """Write a picture and its data into `folder`, and give what the page shows of it."""
    from harness.report.drawing import save

    stem = folder / picture.name
    save(picture.figure, stem)
    write_csv(picture.data, stem.with_suffix(".csv"))
    svg = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode()
    return Shown(picture.name, picture.title, picture.caption, svg)


def _render(
    run: Run,
    claims: claims_page.ClaimsPage | None,
    sections: list[Section],
    tables: list[Written],
    folder: Path,
) -> Mapping[str, Any]:
    grouped = reasons.reasons(run)
    content = {
        "title": overview.title(run),
        "facts": overview.what_and_where(run),
        "studies": overview.study_table(run),
        "environment": overview.environment_lines(run),
        "command": overview.command(run),
        "claims": claims,
        "sections": sections,
        "reasons": grouped,
        "logs": reasons.logs(grouped),
        "tables": tables,
    }
    (folder / "report.md").write_text(pages.markdown(content), encoding="utf-8")
    (folder / "report.html").write_text(pages.html(content), encoding="utf-8")
    return content


@contextmanager
def sole_builder(run_folder: Path) -> Iterator[None]:
    """Hold the run's report against a second build; a build that runs already is waited for.

    What a killed build left behind is swept away: whoever holds the lock is the only one with a draft.

    Raises:
        UserError: another build does not end, or the folder cannot be written.
    """
    lock = OwnedLock(run_folder / LOCK, run_folder.name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not lock.try_acquire():
        if time.monotonic() > deadline:
            holder = lock.holder()
            who = f"process {holder.process}, since {holder.since}," if holder else "another process"
            raise UserError(
                f"{run_folder}: {who} is writing its report, and has not ended",
                expected=f"an end within {PATIENCE_SECONDS:g} s",
                remedy="end that process, then build the report again",
            )
        time.sleep(POLL_SECONDS)
    try:
        for leftover in run_folder.glob(f"{DRAFT_PREFIX}*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def beside(run_folder: Path) -> Iterator[Path]:
    """An empty folder within the run's, gone afterwards whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=run_folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace(fresh: Path, run_folder: Path) -> None:
    """Put each finished part in its place; the pages last, when what they name is there."""
    for name in FOLDERS:
        if (run_folder / name).exists():
            (run_folder / name).rename(fresh / f"old-{name}")
        (fresh / name).rename(run_folder / name)
    for name in PAGES:
        (fresh / name).replace(run_folder / name)
