"""`python -m harness doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    results: Annotated[Path, typer.Option("--results", help="Folder that the runs will go to.")] = Path(
        "results"
    ),
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what on this machine would spoil a run, and how to mend it; 1 where something is a problem."""
    from harness.doctor import examine, shown
    from harness.measure.environment import read

    findings = examine(read(), results)
    print(shown.as_json(findings) if json else "\n".join(shown.as_lines(findings)))
    raise typer.Exit(1 if any(finding.level == "problem" for finding in findings) else 0)
