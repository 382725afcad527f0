"""`results/`: one folder per run, made whole or not at all, locked while somebody writes in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.errors import UserError
from harness.ledger import Ledger
from harness.lock import OwnedLock
from harness.outcome import Outcome
from harness.plan import Plan, checked
from harness.text import printable

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
            "command": printable(command),
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


def create_imported(
    results: Path, name: str, facts: dict[str, Any], items: Sequence[tuple[Case, Outcome | None]]
) -> Path:
    """The folder of a run that was measured elsewhere: the same files, whole or not at all.

    Args:
        name: the run's id; checked by the caller.
        items: every case with its outcome.

    Raises:
        UserError: there is a run of this name, or the results folder cannot be written.
    """
    folder, draft = results / name, results / f".{name}-{os.getpid()}"
    facts = {**facts, "plan": facts.get("plan") or {"name": name}}
    try:
        draft.mkdir(parents=True)
        with Ledger.create(draft / LEDGER, facts, [case for case, _ in items]) as ledger:
            for case, outcome in items:
                if outcome is not None:
                    ledger.record(case, outcome, finished_at=time.time(), elapsed_seconds=0.0)
            recorded = ledger.facts()
        (draft / "plan.toml").write_text(_plan_text(recorded["plan"], name), encoding="utf-8")
        write_environment(draft, recorded["environment"])
        if folder.exists() or folder.is_symlink():
            raise UserError(f"{folder}: exists already", remedy="choose another name with --run")
        draft.rename(folder)
    except OSError as error:
        raise UserError(
            f"{results}: cannot write the results folder: {error.strerror or error}",
            remedy="choose a writable folder with --results DIR",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _plan_text(plan: Any, name: str) -> str:
    """The plan as TOML where there was one; a run of another tool's has none."""
    try:
        return Plan.model_validate(plan).to_toml()
    except ValueError:  # pydantic's too: no plan, or one of another machine's backends
        return f"# imported: its cases stand in the ledger\nname = {json.dumps(name)}\n"


def recorded_plan(facts: dict[str, Any], folder: Path) -> Plan:
    """The plan that a run is to be gone on with.

    Args:
        facts: the ledger's.

    Raises:
        UserError: the run has none, or one of studies that are not installed here.
    """
    try:
        return checked(facts.get("plan"), "plan")
    except UserError as error:  # an imported run's plan is a name alone
        raise UserError(
            f"{folder}: no plan that can be run here ({error})",
            remedy="an imported run is read by `report` and `compare`; start a new one to measure",
        ) from error


def find_run(reference: str, results: Path) -> Path:
    """The folder of a run, by path or by run id (or `latest`).

    Raises:
        UserError: there is none.
    """
    named = results / reference if _RUN_ID.fullmatch(reference) else None
    for folder in (named, Path(reference)):
        if folder is not None and _is_run(folder):
            found = folder.resolve()
            if folder is named:
                _require_inside(found, results, reference)
            return found
    known = sorted(p.parent.name for p in results.glob(f"*/{LEDGER}") if not p.parent.is_symlink())
    raise UserError(
        f"no run {reference!r}",
        expected=f"the folder of a run, or a run id in {results}"
        + (f" such as {known[-1]}" if known else ""),
        remedy="list the folder, or start a run",
    )


def _require_inside(found: Path, results: Path, reference: str) -> None:
    if found.parent != results.resolve():
        raise UserError(
            f"run {reference!r} leads out of {results}, to {found}",
            remedy="give that folder itself, if it is meant",
        )


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """environment.json, replaced as a whole.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    text = json.dumps(environment, indent=2, sort_keys=True) + "\n"
    # a name of its own, made new: nothing that lies there, a link least of all, is written through
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".environment-", delete=False) as draft:
        try:
            draft.write(text)
            draft.flush()
            os.chmod(draft.name, 0o644)
            os.replace(draft.name, folder / "environment.json")
        except BaseException:
            os.unlink(draft.name)
            raise


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the run's folder against a second writer.

    Raises:
        UserError: somebody else holds it, or it cannot be written.
    """
    lock = OwnedLock(folder / ".lock", folder.name)
    if not lock.try_acquire():
        holder = lock.holder()
        who = f"process {holder.process}, since {holder.since}," if holder else "another process"
        raise UserError(f"{folder}: {who} is writing this run", remedy="wait for it, or end it")
    try:
        yield
    finally:
        lock.release()


def _is_run(folder: Path) -> bool:
    try:
        return (folder / LEDGER).is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL in it
        return False


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
