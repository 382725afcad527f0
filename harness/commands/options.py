"""Options that several commands share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError

Results = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Redact = Annotated[
    bool, typer.Option("--redact", help="Take users, hosts and paths out of all that is written.")
]


def require_place(file: Path | None, option: str) -> None:
    """Refuse a file that cannot be written for want of a folder, before any work is done for it.

    Raises:
        UserError: its folder does not exist, or it is a folder itself.
    """
    if file is None:
        return
    if file.is_dir():
        raise UserError(f"{option} {file}: is a folder", expected="a file", remedy="add the file's name")
    if not (folder := file.parent).is_dir():
        raise UserError(
            f"{option} {file}: there is no folder {folder}",
            remedy=f"make it first: mkdir -p {shlex.quote(str(folder))}",
        )
