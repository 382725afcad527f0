"""Options that several commands share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError


def _folder(text: str | Path) -> Path:
    """A folder's path; an empty one would be the folder one happens to be in."""
    if not str(text):
        raise UserError(
            "--results: no folder named", expected="a folder", remedy="for this one, say --results ."
        )
    return Path(text)


Results = Annotated[
    Path,
    typer.Option("--results", parser=_folder, metavar="DIRECTORY", help="Folder that holds the runs."),
]
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
