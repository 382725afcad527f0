"""`python -m harness compare`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import Results, require_place
from harness.errors import UserError

REGRESSION = 3


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The run before: a folder or a run id.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The run after.")],
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="PERCENT", help="End with 3 on a regression beyond it.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="AXIS,AXIS", help="Judge groups of cases instead of each.")
    ] = None,
    relative_to: Annotated[
        str | None,
        typer.Option(metavar="BACKEND", help="Count time in that backend's, timed in turn in the same run."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write Markdown here, a figure (.svg, .png) and a .csv beside it.")
    ] = None,
    allow_different_hardware: Annotated[
        bool, typer.Option("--allow-different-hardware", help="Show the ratios; nothing is judged then.")
    ] = False,
    results: Results = Path("results"),
) -> None:
    """Say whether the same cases became slower or larger between two runs."""
    limit = None if fail_on is None else _percentage(fail_on)
    require_place(output, "--output")

    from harness.compare import compare_runs
    from harness.compare.page import markdown
    from harness.folder import find_run
    from harness.report.frames import Run
    from harness.report.verdicts import THRESHOLD
    from harness.report.words import listed

    found = compare_runs(
        Run.read(find_run(old, results)),
        Run.read(find_run(new, results)),
        by=[name.strip() for name in by.split(",") if name.strip()] if by else [],
        threshold=THRESHOLD if limit is None else min(THRESHOLD, limit),
        allow_different_hardware=allow_different_hardware,
        relative_to=relative_to,
    )
    if output is None:
        print(markdown(found, limit=limit), end="")
    else:
        from harness.compare.files import write

        print(write(found, output, limit))
    if limit is None:
        return
    if found.regressions(limit) or found.lost:
        raise typer.Exit(REGRESSION)
    if found.unjudged or not found.judged:
        raise UserError(
            f"--fail-on: no comparison of {listed(found.unjudged) or 'anything'} could be judged",
            expected="at least 2 steady processes of each case in either run, on one machine",
            got=_commonest([row.reason for row in found.rows if row.word == "invalid"]),
            remedy="measure with replicates = 3 or more, on a machine with nothing else to do",
        )


def _commonest(reasons: list[str]) -> str:
    """What most comparisons lack, and of how many of them that is said."""
    if not reasons:
        return "none"
    ((reason, count),) = Counter(reasons).most_common(1)
    return f"{reason} (in {count} of {len(reasons)})"


def _percentage(text: str) -> float:
    found = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)\s*%", text.strip())
    if not found or float(found[1]) <= 0:
        raise UserError("--fail-on", expected="a percentage above 0, such as 5%", got=text)
    return float(found[1]) / 100
