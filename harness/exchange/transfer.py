"""Out: one file, whole or not at all.  In: one run's folder, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from harness.errors import UserError
from harness.exchange.checked import MAXIMUM_BYTES
from harness.exchange.facts import known_facts
from harness.exchange.format import FORMATS, Format
from harness.folder import create_imported
from harness.report.frames import Run
from harness.text import printable

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def export_run(run: Run, format_name: str, output: Path) -> Path:
    """Write a run in another format; the path written.

    Raises:
        UserError: no such format, nothing that it can hold, or a file that cannot be written.
    """
    content = _format(format_name).write(run)
    try:
        handle, draft = tempfile.mkstemp(dir=output.absolute().parent, prefix=".export-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(draft).chmod(0o644)
            Path(draft).replace(output)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
    except OSError as error:
        raise UserError(f"{output}: cannot write: {error.strerror or error}") from error
    return output


def import_file(path: Path, run_name: str, results: Path, format_name: str | None = None) -> Path:
    """Make a run of a file; its folder.

    Args:
        format_name: None: the one that it looks like.

    Raises:
        UserError: the name is no name of a run or is taken, the file is out of bounds, of no known format
            or damaged.
    """
    if not _RUN_NAME.fullmatch(run_name) or run_name == "latest":
        raise UserError(
            f"--run {run_name!r}: not the name of a run",
            expected="letters, digits, - and _, the first a letter or digit, at most 100",
        )
    content = _content(path)
    form = _format(format_name) if format_name else _detected(content, path)
    found = form.read(content, path.name)
    keys = [case.key for case, _ in found.items]
    if len(set(keys)) != len(keys):
        raise UserError(f"{path.name}: holds a case twice", expected="each case of each process once")
    facts = {**known_facts(found.facts), "run_id": run_name, "imported_from": printable(path.name)}
    return create_imported(results, run_name, facts, found.items)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}", expected="a file to import") from error
    if len(content) > MAXIMUM_BYTES:
        raise UserError(f"{path}: too large", expected=f"at most {MAXIMUM_BYTES >> 20} MiB")
    if not content.strip():
        raise UserError(f"{path}: an empty file")
    return content


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UserError(f"--format: {FORMATS.miss(name)}")
    return FORMATS[name]


def _detected(content: bytes, path: Path) -> Format:
    for form in FORMATS.values():
        if form.looks_like(content):
            return form
    raise UserError(
        f"{path}: of no format that is known here",
        expected=f"one of {', '.join(FORMATS)}",
        remedy="say which with --format",
    )
