"""`python run_all.py`, and `python -m harness run`: a plan from its cases to its report."""

from __future__ import annotations

import functools
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.options import Redact, Results
from harness.errors import Interrupted, UserError
from harness.signals import exit_status, told_to_end

if TYPE_CHECKING:
    from harness.run import MakeExecutor


DEFAULT = "quick"
"""The plan of those who name none."""


def run(
    plan: Annotated[
        str | None, typer.Option(help="A preset's name, or the path of a TOML file; default: quick.")
    ] = None,
    study: Annotated[
        list[str] | None, typer.Option(help="Only this study of the plan; may be repeated.")
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="Replace an axis, NAME=VALUE,VALUE; may be repeated: the same axis again has more values. "
            """Values with commas stand in quotes: 'structure="2 layers, both ways",1 layer'."""
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare this backend in place of the plan's; may be repeated. "
            "Studies that compare none go on as planned."
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Text for inputs=text; default: the Python standard library. "
            "With --resume: where the run's own text is now."
        ),
    ] = None,
    results: Results = Path("results"),
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run: its id, its folder, or 'latest'.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|slurm", help="Run on a Dask cluster: its scheduler's address, or 'slurm'."
        ),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N|LOW-HIGH", help="With slurm: how many jobs to submit.")
    ] = None,
    redact: Redact = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cases and about how long each takes, run nothing.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List plans, studies, backends, cells and more.")
    ] = False,
) -> None:
    """Run every study of a plan and write the report."""
    if list_:
        from harness.commands.lists import print_lists

        print_lists(None)
        return
    with told_to_end():
        try:
            if resume is not None:
                _refuse_beside_resume(plan=plan, study=study, axis=axis, backend=backend, redact=redact)
                _go_on(resume, results, corpus, scheduler, workers, dry_run)
            else:
                where = _executor_for(scheduler, workers)
                _run_plan(
                    DEFAULT if plan is None else plan,
                    study or [],
                    axis or [],
                    backend or [],
                    corpus,
                    results,
                    redact,
                    dry_run,
                    where,
                )
        except KeyboardInterrupt as interrupt:  # typer would make 130 of every signal
            raise typer.Exit(exit_status(interrupt)) from interrupt


def _go_on(
    run: str, results: Path, corpus: Path | None, scheduler: str | None, workers: str | None, dry_run: bool
) -> None:
    """What `--resume` does."""
    from harness.commands.foretell import foretell_rest
    from harness.folder import find_run

    folder = find_run(run, results)
    if corpus is not None:
        _require_readable(str(corpus))
    foretell_rest(folder) if dry_run else _execute(folder, corpus, _executor_for(scheduler, workers))


def _refuse_beside_resume(**given: object) -> None:
    """A run goes on with its own plan: what would choose another is refused."""
    if beside := [f"--{name}" for name, value in given.items() if value not in (None, [], False)]:
        raise UserError(
            f"--resume goes on with the run's own plan; got {', '.join(beside)}",
            remedy="leave that out, or start a new run without --resume",
        )


def _require_readable(corpus: str) -> None:
    from harness.training.corpora import read_corpus

    read_corpus(corpus, different=2)


def _run_plan(
    name: str,
    studies: list[str],
    axes: list[str],
    backends: list[str],
    corpus: Path | None,
    results: Path,
    redact: bool,
    dry_run: bool,
    make_executor: MakeExecutor,
) -> None:
    from harness.axis_options import read_axes
    from harness.choice import require_backend_heeded, require_cases
    from harness.plan_file import load_plan

    whole = load_plan(name)
    replaced = read_axes(whole, axes)
    plan = whole.select(studies, replaced, backends, None if corpus is None else str(corpus.resolve()))
    if plan.corpus is not None:
        _require_readable(plan.corpus)
    cases = plan.cases()
    unheeded = require_backend_heeded(whole, plan, backends, replaced.get("backend", []))
    for line in [*unheeded, *require_cases(plan, cases)]:
        print(line)
    if dry_run:
        from harness.commands.foretell import foretell

        foretell(plan, cases)
        return
    from harness.doctor import warnings
    from harness.folder import create_run
    from harness.measure.environment import read

    found = read()
    recorded = found.model_dump(mode="json")
    recorded["warnings"] = [asdict(warning) for warning in warnings(found, results)]
    command = shlex.join(["python", *sys.argv])
    with make_executor(plan) as executor:  # can it be reached? before anything is written
        folder = create_run(results, plan, recorded, command, redacted=redact)
        _execute(folder, None if plan.corpus is None else Path(plan.corpus), lambda _: executor)


def _executor_for(scheduler: str | None, workers: str | None) -> MakeExecutor:
    """Plan -> who runs its cases: this machine, or a cluster."""
    if scheduler is None:
        if workers is not None:
            raise UserError("--workers is for --scheduler slurm", remedy="leave it out")
        from harness.local import Local

        return Local
    from harness.cluster import on_cluster

    return on_cluster(scheduler, workers, functools.partial(print, flush=True))


def _execute(folder: Path, corpus: Path | None, make_executor: MakeExecutor) -> None:
    """Run what is left of a run, write its report, and exit with the run's status."""
    from rich.console import Console

    from harness.progress import Terminal
    from harness.remaining import Remaining
    from harness.report import write_report
    from harness.run import execute

    console = Console(stderr=False)
    try:
        with Terminal(console, Remaining.of(folder)) as observer:
            summary = execute(folder, observer, make_executor, corpus)
        print(", ".join(f"{count} {status}" for status, count in sorted(summary.counts.items())))
        print(write_report(folder))
    except (KeyboardInterrupt, Interrupted):
        print("interrupted; the report covers what had ended", flush=True)
        try:
            print(write_report(folder))
        finally:  # also where the report cannot be written
            print(f"resume with: python run_all.py --resume {shlex.quote(str(folder))}", flush=True)
        raise
    raise typer.Exit(1 if summary.failed else 0)
