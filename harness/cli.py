"""The command line: the only place that knows all the rest.

Exit status: 0 all well, 1 something failed, 2 wrong use or a disk that takes no more, 3 a regression, 130
interrupted, 143 told to end (128 and the signal's number).  Whatever a user can do wrong ends as one line on
standard error.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.commands.analyze import analyze
from harness.commands.compare import compare
from harness.commands.doctor import doctor
from harness.commands.exchange import export, import_
from harness.commands.lists import list_command
from harness.commands.options import Redact, Results, require_place
from harness.commands.run import run
from harness.commands.sample import sample
from harness.commands.train import train
from harness.errors import Interrupted, UserError
from harness.signals import exit_status
from harness.text import one_line

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="How fast and how big is each implementation of an RNN, LSTM or GRU, and how far does its "
    "gradient reach?",
)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What a disk says that takes no more: the machine's state, which a user can mend, and no fault of ours."""

app.command("run")(run)


@app.command()
def report(
    run: str,
    results: Results = Path("results"),
    redact: Redact = False,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="Also copy it there, without tables above 200 kB."),
    ] = None,
) -> None:
    """Write the report of a run again, from its ledger alone."""
    from harness.folder import find_run
    from harness.report import write_report

    print(write_report(find_run(run, results), redact=redact, reference=reference))


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
    require_place(json, "--json")
    require_place(markdown, "--markdown")
    from harness.selftest import run_selftest

    raise typer.Exit(run_selftest(quick=quick, json_file=json, markdown_file=markdown))


for _name, _command in (
    ("analyze", analyze),
    ("doctor", doctor),
    ("compare", compare),
    ("export", export),
    ("import", import_),
    ("list", list_command),
    ("train", train),
    ("sample", sample),
):
    app.command(_name)(_command)


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
