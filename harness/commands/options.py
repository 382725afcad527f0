"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Results = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Redact = Annotated[
    bool, typer.Option("--redact", help="Take users, hosts and paths out of all that is written.")
]
