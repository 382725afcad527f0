"""Each guard of a run, how it is taken out, and the test of the suite that then fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import folder, ledger, lock, supervisor
from harness import outcome as outcomes
from harness.exchange import transfer
from harness.measure import timing
from harness.report import build, pages, pairs, tables, verdicts
from tests.harness import (
    test_alternation,
    test_exchange,
    test_hostile,
    test_ledger,
    test_locks,
    test_supervisor,
)
from tests.report import test_build, test_pairs, test_verdicts

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Guard:
    """Args:
    name: what is held, for the page.
    where: what holds it.
    remove: takes that out.
    check: the test that fails without it.
    call: that test with what it is given: check, an empty folder, patch.
    """

    name: str
    where: str
    remove: Callable[[Patch], None]
    check: Callable[..., None]
    call: Callable[[Callable[..., None], Path, Patch], None]

    @property
    def test(self) -> str:
        return f"{self.check.__module__.replace('.', '/')}.py::{self.check.__name__}"

    @property
    def row(self) -> str:
        return f"| {self.name} | `{self.where}` | `{self.test}` |"


def table() -> str:
    head = "| what is held | by | without it, this test fails |\n| --- | --- | --- |"
    return "\n".join([head, *(guard.row for guard in GUARDS)])


# How guards are taken out


def nothing(*arguments: Any, **options: Any) -> None:
    """A check that checks nothing, a signal that reaches nobody, a lock that everybody gets."""


def as_it_is(value: Any) -> Any:
    """An escape that escapes nothing."""
    return value


def unescaped_html(patch: Patch) -> None:
    plain = pages._environment
    patch.setattr(pages, "_environment", lambda **options: plain(**{**options, "autoescape": False}))


def one_process_alone(patch: Patch) -> None:
    def signal_one(process: Any, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)

    patch.setattr(supervisor, "_signal_group", signal_one)
    descendants = supervisor._descendants
    patch.setattr(
        supervisor, "_descendants", lambda pid: [p for p in descendants(pid) if os.getpgid(p.pid) != pid]
    )


def no_transaction_of_its_own(patch: Patch) -> None:
    def record(self, case, outcome, *, finished_at, elapsed_seconds):
        text = json.dumps(outcomes.to_json(outcome))
        row = (case.key, outcome.status, text, finished_at, elapsed_seconds)
        statement = "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.execute(statement, (*row, ledger._digest(*row)))

    patch.setattr(ledger.Ledger, "record", record)


def one_after_the_other(cases, worker_of, limits, num_threads):
    for case in cases:
        worker = worker_of(case)
        at = worker.begin(case, **vars(limits), together="all")
        while isinstance(at, timing.Pause):
            at = worker.go_on(timing.alone(at))
        yield case, at, 0.0


# How tests are called


def alone(check: Callable[..., None], at: Path, patch: Patch) -> None:
    check()


def with_folder(check: Callable[..., None], at: Path, patch: Patch) -> None:
    check(at)


def with_patch(check: Callable[..., None], at: Path, patch: Patch) -> None:
    check(patch)


def with_both(check: Callable[..., None], at: Path, patch: Patch) -> None:
    check(monkeypatch=patch, tmp_path=at)


def with_name(name: str) -> Callable[[Callable[..., None], Path, Patch], None]:
    return lambda check, at, patch: check(at, name)


def with_new_ledger(check: Callable[..., None], at: Path, patch: Patch) -> None:
    facts = {"run_id": "r", "plan": {"name": "p"}}
    with ledger.Ledger.create(at / "ledger.sqlite", facts, test_ledger.CASES) as made:
        check(made)


def with_written_ledger(check: Callable[..., None], at: Path, patch: Patch) -> None:
    check(test_hostile.write_ledger(at / "ledger.sqlite"))


def with_hostile_report(check: Callable[..., None], at: Path, patch: Patch) -> None:
    patch.setattr(build, "_pictures", lambda *arguments: iter(()))  # they are not what is looked at
    check(test_hostile.write_hostile_report(at))


GUARDS = (
    Guard(
        "a flipped byte is no number",
        "ledger._require_digest",
        lambda patch: patch.setattr(ledger, "_require_digest", nothing),
        test_hostile.test_flipped_bytes_are_named_or_harmless,
        with_written_ledger,
    ),
    Guard(
        "an acknowledged row is committed: one transaction per row",
        "ledger.Ledger.record",
        no_transaction_of_its_own,
        test_ledger.test_a_second_process_reads_while_the_first_writes,
        with_new_ledger,
    ),
    Guard(
        "a worker's answer has a cap",
        "supervisor.MAXIMUM_ANSWER_BYTES",
        lambda patch: patch.setattr(supervisor, "MAXIMUM_ANSWER_BYTES", 2**62),
        test_supervisor.test_an_answer_beyond_the_cap_is_not_read,
        with_patch,
    ),
    Guard(
        "a worker's whole process group ends with it",
        "supervisor._signal_group",
        one_process_alone,
        test_supervisor.test_nothing_that_a_worker_started_outlives_it,
        with_both,
    ),
    Guard(
        "so does what had left the group",
        "supervisor._descendants",
        lambda patch: patch.setattr(supervisor, "_descendants", lambda pid: []),
        test_supervisor.test_nothing_that_a_worker_started_outlives_it,
        with_both,
    ),
    Guard(
        "one run times at a time on a machine",
        "lock.fcntl.flock",
        lambda patch: patch.setattr(lock.fcntl, "flock", nothing),
        test_locks.test_a_second_run_waits_for_its_turn_to_time,
        with_both,
    ),
    Guard(
        "a run's folder has one writer",
        "lock.fcntl.flock",
        lambda patch: patch.setattr(lock.fcntl, "flock", nothing),
        test_locks.test_a_run_has_one_writer,
        with_folder,
    ),
    Guard(
        "a run's report is built once at a time",
        "report.build.sole_builder",
        lambda patch: patch.setattr(build, "sole_builder", lambda folder: nullcontext()),
        test_build.test_two_builds_of_one_run_take_turns,
        with_both,
    ),
    Guard(
        "no name of a run leads out of the results",
        "folder._require_inside",
        lambda patch: patch.setattr(folder, "_require_inside", nothing),
        test_hostile.test_a_link_out_of_the_results_is_not_followed,
        with_name("latest"),
    ),
    Guard(
        "nor does the name of an imported one",
        "exchange.transfer._RUN_NAME",
        lambda patch: patch.setattr(transfer, "_RUN_NAME", re.compile(r"(?s).*")),
        test_exchange.test_a_name_cannot_leave_the_results_folder,
        with_name("../x"),
    ),
    Guard(
        "words from outside are no HTML",
        "report.pages.html (autoescape)",
        unescaped_html,
        test_hostile.test_a_hostile_run_puts_no_markup_into_html,
        with_hostile_report,
    ),
    Guard(
        "nor Markdown",
        "report.escape.markdown",
        lambda patch: patch.setattr(pages.escape, "markdown", as_it_is),
        test_hostile.test_a_hostile_run_puts_no_markup_into_markdown,
        with_hostile_report,
    ),
    Guard(
        "nor a spreadsheet's formula",
        "report.escape.spreadsheet",
        lambda patch: patch.setattr(tables, "spreadsheet", as_it_is),
        test_hostile.test_a_hostile_run_puts_no_formula_into_a_spreadsheet,
        with_hostile_report,
    ),
    Guard(
        "the backends of a comparison take turns",
        "alternation.alternate",
        lambda patch: patch.setattr(test_alternation, "alternate", one_after_the_other),
        test_alternation.test_each_has_a_turn_in_every_round,
        alone,
    ),
    Guard(
        "who has one thread keeps to the same core as those it is compared with",
        "measure.cores.kept_to",
        lambda patch: patch.setattr(timing, "kept_to", lambda core: contextlib.nullcontext()),
        test_alternation.test_samples_are_taken_on_the_core_that_was_told,
        alone,
    ),
    Guard(
        "what took turns is compared round by round",
        "report.pairs.in_turn",
        lambda patch: patch.setattr(pairs, "in_turn", lambda one, other: []),
        test_pairs.test_backends_that_took_turns_are_compared_round_by_round,
        with_folder,
    ),
    Guard(
        "verdicts are corrected over the whole grid",
        "report.verdicts.distinguishable",
        lambda patch: patch.setattr(verdicts, "distinguishable", lambda p: np.asarray(p) <= 0.05),
        test_verdicts.test_a_grid_is_corrected_as_one,
        alone,
    ),
)
