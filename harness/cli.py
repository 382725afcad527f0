"""The command line: the only place that knows all the rest.

Exit status: 0 all well, 1 something failed, 2 wrong use or a disk that takes no more, 3 a regression, 130
interrupted, 143 told to end (128 and the signal's number).  Whatever a user can do wrong ends as one line on
standard error.
"""

from __future__ import annotations

import errno
import functools
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.compare import compare
from harness.commands.doctor import doctor
from harness.commands.exchange import export, import_
from harness.errors import Interrupted, UserError
from harness.signals import exit_status, told_to_end
from harness.text import one_line

if TYPE_CHECKING:
    from harness.run import MakeExecutor

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="How fast and how big is each implementation of an RNN, LSTM or GRU, and how far does its "
    "gradient reach?",
)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What a disk says that takes no more: the machine's state, which a user can mend, and no fault of ours."""

Results = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Redact = Annotated[
    bool, typer.Option("--redact", help="Take users, hosts and paths out of all that is written.")
]


@app.command()
def run(
    plan: Annotated[str, typer.Option(help="A preset's name, or the path of a TOML file.")] = "quick",
    study: Annotated[
        list[str] | None, typer.Option(help="Only this study of the plan; may be repeated.")
    ] = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="Replace an axis, NAME=VALUE,VALUE; may be repeated.")
    ] = None,
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Text for inputs=text; default: the Python standard library.")
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
        bool, typer.Option("--list", help="List plans, studies, backends, cells, initializations.")
    ] = False,
) -> None:
    """Run every study of a plan and write the report."""
    if list_:
        _print_lists(None)
    elif resume is not None:
        if study or axis or backend or redact:
            raise UserError("--resume goes on with the run's own plan", remedy="leave the other options out")
        from harness.commands.foretell import foretell_rest
        from harness.folder import find_run

        folder = find_run(resume, results)
        foretell_rest(folder) if dry_run else _execute(folder, corpus, _executor_for(scheduler, workers))
    else:
        where = _executor_for(scheduler, workers)
        _run_plan(plan, study or [], axis or [], backend or [], corpus, results, redact, dry_run, where)


@app.command()
def report(run: str, results: Results = Path("results"), redact: Redact = False) -> None:
    """Write the report of a run again, from its ledger alone."""
    from harness.folder import find_run
    from harness.report import write_report

    print(write_report(find_run(run, results), redact=redact))


@app.command()
def analyze(
    weights: Annotated[Path, typer.Option(help="A state_dict: .safetensors or .npz.")],
    data: Annotated[
        Path,
        typer.Option(help="Tokens (T,) or (T, B), or vectors (T, B, I), in an .npy file; or a text file."),
    ],
    layer: Annotated[
        list[str] | None, typer.Option(help="A layer's or stack's name; may be repeated. Default: all.")
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="Characters in order, as text or JSON list, or JSON character: number."),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(help="The cell, where the number of gates leaves it open.")
    ] = None,
    embedding: Annotated[
        str | None, typer.Option(help="An array's name, 'seeded' or 'one-hot', instead of the choice made.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of a sequence at most.")] = 256,
    samples: Annotated[int, typer.Option(help="Sequences, or windows of one sequence, at most.")] = 4,
    results: Results = Path("results"),
) -> None:
    """Say how far gradients reach in the recurrent layers of a checkpoint, and write a report."""
    from harness.analysis import Settings, analyze_checkpoint

    found = analyze_checkpoint(
        weights,
        data,
        layers=layer or [],
        vocabulary=vocabulary,
        cell=cell,
        embedding=embedding,
        settings=Settings(steps=steps, samples=samples),
        command=shlex.join(["python", "-m", "harness", *sys.argv[1:]]),
    )
    for problem in found.failed:
        print(f"failed: {problem}")
    print(found.write_below(results))
    raise typer.Exit(1 if found.failed else 0)


@app.command()
def validate(
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")] = None,
) -> None:
    """Hold the gradient engine and every backend against known results; 1 when a row fails."""
    from harness.validation.table import run_validation

    raise typer.Exit(run_validation(backend or []))


@app.command()
def selftest(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes, processes and trials.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows as JSON.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them as a page.")] = None,
) -> None:
    """Hold the harness's own measuring and judging against known answers; 1 when a row fails."""
    from harness.selftest import run_selftest

    raise typer.Exit(run_selftest(quick=quick, json_file=json, markdown_file=markdown))


app.command("doctor")(doctor)
app.command("compare")(compare)
app.command("export")(export)
app.command("import")(import_)


@app.command("list")
def list_command(
    kind: Annotated[
        str | None, typer.Argument(help="plans, studies, backends, cells or initializations")
    ] = None,
) -> None:
    """List what there is by name."""
    _print_lists(kind)


def main(arguments: list[str] | None = None) -> None:
    """`python -m harness`: every command; with none, what there is."""
    _run_app(app, (sys.argv[1:] if arguments is None else arguments) or ["--help"])


def run_all(arguments: list[str] | None = None) -> None:
    """`python run_all.py`: the `run` command alone."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(name="run_all.py")(run)
    _run_app(alone, arguments)


def _run_app(application: typer.Typer, arguments: list[str] | None) -> None:
    """Run a command and end the process with its status; errors become one line."""
    # typer may bring click along under its own name: the base classes of its public exception are click's
    usage_error: Any = typer.BadParameter.__mro__[1]
    try:
        status = application(args=arguments, standalone_mode=False)
    except Interrupted as error:
        _complain(str(error))
        status = exit_status(error)
    except UserError as error:
        status = _complain(str(error))
    except usage_error as error:
        status = _complain(f"{error.format_message()}; see --help")
    except typer.Abort:
        status = 130
    except KeyboardInterrupt as interrupt:
        status = exit_status(interrupt)
    except BrokenPipeError:
        status = 0
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        named = f"{error.filename}: " if error.filename else ""
        status = _complain(f"{named}{error.strerror}; make room or choose another folder, then run it again")
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return 2


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
    from harness.plan import load_plan, parse_axis
    from harness.training.corpora import read_corpus

    if corpus is not None:
        read_corpus(str(corpus))
    plan = load_plan(name).select(
        studies,
        dict(parse_axis(text) for text in axes),
        backends,
        None if corpus is None else str(corpus.resolve()),
    )
    if dry_run:
        from harness.commands.foretell import foretell

        foretell(plan, plan.cases())
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
    with told_to_end():
        try:
            with Terminal(console, Remaining.of(folder)) as observer:
                summary = execute(folder, observer, make_executor, corpus)
        except (KeyboardInterrupt, Interrupted):
            print(f"interrupted; the report covers what had ended\n{write_report(folder)}")
            print(f"resume with: python run_all.py --resume {shlex.quote(str(folder))}")
            raise
        print(", ".join(f"{count} {status}" for status, count in sorted(summary.counts.items())))
        print(write_report(folder))
    raise typer.Exit(1 if summary.failed else 0)


def _print_lists(kind: str | None) -> None:
    from harness.initializations import INITIALIZATIONS
    from harness.plan import preset_names
    from harness.studies.study import STUDIES
    from implementations.registry import BACKENDS, CELLS, nearest

    def first_line(item: Any) -> str:
        return (item.__doc__ or "").strip().splitlines()[0]

    lists: dict[str, Callable[[], dict[str, str]]] = {
        "plans": lambda: dict.fromkeys(preset_names(), ""),
        "studies": lambda: {name: study.question for name, study in STUDIES.items()},
        "backends": lambda: {name: first_line(load) for name, load in BACKENDS.items()},
        "cells": lambda: {name: ", ".join(cell.gates) for name, cell in CELLS.items()},
        "initializations": lambda: {name: first_line(f) for name, f in INITIALIZATIONS.items()},
    }
    if kind is not None and kind not in lists:
        near = nearest(kind, lists)
        raise UserError(
            f"no list of {kind!r}" + (f"; did you mean {near!r}?" if near else ""),
            expected=", ".join(lists),
        )
    for title, entries in lists.items():
        if kind in (None, title):
            print(title if kind is None else "", end="\n" if kind is None else "")
            for name, text in entries().items():
                print(f"  {name:24}{text}".rstrip())
