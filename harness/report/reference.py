"""A copy of a report that is small enough to be kept with the code, and leads to nothing that it lacks.

Of the run it takes the plan and the environment, of the report the Markdown page, the PNG of every figure,
and those tables that are not large.  The page says at its top what is left out and what makes it again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.errors import UserError
from harness.redact import Redactor
from harness.report import pages
from harness.report.escape import markdown
from harness.report.words import counted, listed

MAXIMUM_BYTES = 200_000
"""Of one table, or of a figure's data; pictures are all taken."""
DATA = ("tables", "figures")
RECORD = ("plan.toml", "environment.json")


def check_place(folder: Path) -> None:
    """Refuse what holds a run itself: its tables would be taken away.

    Raises:
        UserError: it does, or it is no folder.
    """
    if (folder / "ledger.sqlite").exists():
        raise UserError(f"{folder}: holds a run", expected="a folder for the copy alone, outside of the run")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is no folder", expected="a folder for the copy alone")


def write_reference(
    content: Mapping[str, Any], run_folder: Path, folder: Path, *, redact: bool = False
) -> Path:
    """Copy the finished report of `run_folder` into `folder`; the path of its report.md.

    The tables and figures of an older copy are replaced; what else is there (a README) stays.

    Args:
        content: what the page shows.
        redact: take users, hosts and paths out of the environment too.
    """
    check_place(folder)
    files = [path for name in DATA for path in sorted((run_folder / name).iterdir())]
    kept = [path for path in files if path.suffix == ".png" or _is_small_data(path)]
    left_out = [_named(path) for path in files if path.suffix == ".csv" and path not in kept]
    for name in DATA:
        for old in (folder / name).glob("*.*"):
            if old.suffix in (".csv", ".png"):
                old.unlink()
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in kept:
        shutil.copyfile(path, folder / _named(path))
    for name in RECORD:
        if (run_folder / name).is_file():
            (folder / name).write_text(_record(run_folder / name, redact), encoding="utf-8")
    page = pages.markdown({**content, "copied": _copied(left_out)}, left_out=left_out, figures="png")
    (folder / "report.md").write_text(page, encoding="utf-8")
    return folder / "report.md"


def _is_small_data(path: Path) -> bool:
    return path.suffix == ".csv" and path.stat().st_size <= MAXIMUM_BYTES


def _named(path: Path) -> str:
    """Within the run's folder."""
    return f"{path.parent.name}/{path.name}"


def _record(path: Path, redact: bool) -> str:
    text = path.read_text(encoding="utf-8")
    if not redact:
        return text
    redactor = Redactor.of_this_machine().heard_in(text)
    if path.suffix == ".json":
        return json.dumps(redactor(json.loads(text)), indent=2, sort_keys=True) + "\n"
    return redactor.text(text)


def _copied(left_out: Sequence[str]) -> Markup:
    """The sentence at the top; empty where nothing is left out."""
    if not left_out:
        return Markup()
    names = listed([f"`{markdown(name)}`" for name in left_out])
    return Markup(
        f"This is a copy of the report. {counted(len(left_out), 'file')} above {MAXIMUM_BYTES // 1000} kB "
        f"{'is' if len(left_out) == 1 else 'are'} left out: {names}; the command below makes them again."
    )
