"""`results/`: one folder per run, made whole or not at all, locked while somebody writes in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import UserError
from harness.ledger import Ledger
from harness.plan import Plan

LEDGER = "ledger.sqlite"
MAXIMUM_SELFTEST_BYTES = 2**20
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def create_run(
    results: Path,
    plan: Plan,
    environment: dict[str, Any],
    command: str,
    *,
    redacted: bool = False,
) -> Path:
    """A new run's folder with its plan, environment and ledger; `latest` points at it.

    Args:
        redacted: names and places are taken out of all that is written, now and later (`harness.redact`).

    Raises:
        UserError: the results folder cannot be written.
    """
    started = time.time()
    run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(started))}-{plan.name}"
    draft = results / f".{run_id}-{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        folder = _free_name(results / run_id)
        facts = {
            "run_id": folder.name,
            "plan": plan.model_dump(),
            "environment": environment,
            "command": command,
            "started_at": started,
            "redacted": redacted,
            "selftest": _selftest(results),
        }
        with Ledger.create(draft / LEDGER, facts, plan.cases()) as ledger:
            recorded = ledger.facts()
        toml = Plan.model_validate(recorded["plan"]).to_toml()
        (draft / "plan.toml").write_text(toml, encoding="utf-8")
        write_environment(draft, recorded["environment"])
        draft.rename(folder)
        _point_latest(results, folder.name)
    except OSError as error:
        raise UserError(
            f"{results}: cannot write the results folder: {error.strerror or error}",
            remedy="choose a writable folder with --results DIR",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def find_run(reference: str, results: Path) -> Path:
    """The folder of a run, by path or by run id (or `latest`).

    Raises:
        UserError: there is none.
    """
    for folder in (Path(reference), results / reference if _RUN_ID.fullmatch(reference) else None):
        if folder is not None and (folder / LEDGER).is_file():
            return folder.resolve()
    known = sorted(p.parent.name for p in results.glob(f"*/{LEDGER}") if not p.parent.is_symlink())
    raise UserError(
        f"no run {reference!r}",
        expected=f"the folder of a run, or a run id in {results}"
        + (f" such as {known[-1]}" if known else ""),
        remedy="list the folder, or start a run",
    )


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """environment.json, replaced as a whole."""
    draft = folder / ".environment.json"
    draft.write_text(json.dumps(environment, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(folder / "environment.json")


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the run's folder against a second writer.

    Raises:
        UserError: somebody else holds it, or it cannot be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: another process is writing this run", remedy="wait for it, or end it"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot write the run's folder: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            (folder / ".lock").unlink()


def _selftest(results: Path) -> dict[str, Any] | None:
    """What `selftest --json` left beside the runs; None where there is nothing that can be read."""
    file = results / "selftest.json"
    try:
        if file.stat().st_size > MAXIMUM_SELFTEST_BYTES:
            return None
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _free_name(folder: Path) -> Path:
    """`folder`, or with the first number that makes it new (two runs may start in one second)."""
    candidate, number = folder, 2
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def _point_latest(results: Path, name: str) -> None:
    draft = results / f".latest-{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(name, target_is_directory=True)
    draft.replace(results / "latest")
