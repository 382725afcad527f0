"""`python -m harness export` and `python -m harness import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import Results, require_place

_FORMATS = "pytest-benchmark, pyperf, gbench, csv or parquet"


def export(
    run: Annotated[str, typer.Argument(help="The run: a folder or a run id.")],
    format_: Annotated[str, typer.Option("--format", help=_FORMATS)],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    redact: Annotated[
        bool, typer.Option("--redact", help="Take users, hosts and paths out of what is written.")
    ] = False,
    results: Results = Path("results"),
) -> None:
    """Write a run in another tool's format, or as one table."""
    require_place(output, "--output")
    from harness.exchange import FORMATS, export_run
    from harness.folder import find_run
    from harness.report.frames import Run

    found = Run.read(find_run(run, results), redact=redact)
    print(export_run(found, format_, output))
    others = [study for study in found.studies if study != "throughput"]
    if FORMATS[format_].times_only and others:
        print(f"holds times alone; csv and parquet also take {', '.join(others)}")


def import_(
    file: Annotated[Path, typer.Argument(help="What another tool, or `export`, wrote.")],
    run: Annotated[str, typer.Option(help="Name of the run to make of it.")],
    format_: Annotated[
        str | None, typer.Option("--format", help=f"{_FORMATS}; default: what it looks like.")
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Make a run of another tool's file: `report` and `compare` take it like any other."""
    from harness.exchange import import_file

    print(import_file(file, run, results, format_))
